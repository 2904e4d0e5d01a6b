/**
 * Takes facts (names, types, formats, enumerations, ranges, required privileges) out of Proxmox's
 * machine-readable API schema and writes them as src/simulator/host/schema.gen.ts. No sentence of the
 * schema is kept. Run: bun scripts/generate-sim-schema.ts <apidoc-guests.json>
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface ApiDocMethod {
  readonly method: string;
  readonly path: string;
  readonly parameters: { readonly properties?: Readonly<Record<string, ApiDocOption>> };
  readonly returns?: { readonly properties?: Readonly<Record<string, ApiDocOption>> };
  readonly permissions?: { readonly check?: readonly unknown[]; readonly user?: string };
}

type ApiDocOption = Readonly<Record<string, unknown>>;

const OUTPUT = join(import.meta.dir, "../src/simulator/host/schema.gen.ts");

/** Keys that are copied, in the order they are written. */
const KEPT = ["type", "optional", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "requires", "alias", "keyAlias"];

/** Server-owned keys that configuration files hold besides the settable ones. */
const QEMU_INTERNAL = ["meta", "parent", "snaptime", "vmstate", "runningmachine", "runningcpu", "running-nets-host-mtu"];

/** How many of each indexed key exist; the schema writes them as `net[n]`. */
const INDEX_COUNTS = {
  qemu: { ide: 4, sata: 6, scsi: 31, virtio: 16, net: 32, ipconfig: 32, unused: 256, hostpci: 16, usb: 14, serial: 4, parallel: 3, numa: 8, virtiofs: 10 },
  lxc: { net: 32, mp: 256, unused: 256, dev: 256 },
};

const ENDPOINTS: Readonly<Record<string, readonly string[]>> = {
  "/version": ["GET"],
  "/cluster/resources": ["GET"],
  "/nodes/{node}/tasks": ["GET"],
  "/nodes/{node}/tasks/{upid}": ["GET", "DELETE"],
  "/nodes/{node}/tasks/{upid}/log": ["GET"],
  "/nodes/{node}/tasks/{upid}/status": ["GET"],
  "/nodes/{node}/qemu": ["GET", "POST"],
  "/nodes/{node}/qemu/{vmid}": ["GET", "DELETE"],
  "/nodes/{node}/qemu/{vmid}/config": ["GET", "PUT", "POST"],
  "/nodes/{node}/qemu/{vmid}/pending": ["GET"],
  "/nodes/{node}/qemu/{vmid}/unlink": ["PUT"],
  "/nodes/{node}/qemu/{vmid}/feature": ["GET"],
  "/nodes/{node}/qemu/{vmid}/resize": ["PUT"],
  "/nodes/{node}/qemu/{vmid}/clone": ["POST"],
  "/nodes/{node}/qemu/{vmid}/template": ["POST"],
  "/nodes/{node}/qemu/{vmid}/snapshot": ["GET", "POST"],
  "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}": ["GET", "DELETE"],
  "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback": ["POST"],
  "/nodes/{node}/qemu/{vmid}/status": ["GET"],
  "/nodes/{node}/qemu/{vmid}/status/current": ["GET"],
  ...Object.fromEntries(
    ["start", "stop", "reset", "shutdown", "reboot", "suspend", "resume"].map((act) => [`/nodes/{node}/qemu/{vmid}/status/${act}`, ["POST"]]),
  ),
  "/nodes/{node}/lxc": ["GET", "POST"],
  "/nodes/{node}/lxc/{vmid}": ["GET", "DELETE"],
  "/nodes/{node}/lxc/{vmid}/config": ["GET", "PUT"],
  "/nodes/{node}/lxc/{vmid}/pending": ["GET"],
  "/nodes/{node}/lxc/{vmid}/feature": ["GET"],
  "/nodes/{node}/lxc/{vmid}/resize": ["PUT"],
  "/nodes/{node}/lxc/{vmid}/snapshot": ["GET", "POST"],
  "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}": ["GET", "DELETE"],
  "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/rollback": ["POST"],
  "/nodes/{node}/lxc/{vmid}/status": ["GET"],
  "/nodes/{node}/lxc/{vmid}/status/current": ["GET"],
  ...Object.fromEntries(
    ["start", "stop", "shutdown", "reboot", "suspend", "resume"].map((act) => [`/nodes/{node}/lxc/{vmid}/status/${act}`, ["POST"]]),
  ),
};

function main(): void {
  const source = process.argv[2];
  if (source === undefined) throw new Error("usage: bun scripts/generate-sim-schema.ts <apidoc-guests.json>");
  const methods = JSON.parse(readFileSync(source, "utf8")) as ApiDocMethod[];
  const find = (method: string, path: string): ApiDocMethod => {
    const found = methods.find((entry) => entry.method === method && entry.path === path);
    if (found === undefined) throw new Error(`the schema has no ${method} ${path}`);
    return found;
  };
  const config = { qemu: configOptions(find, "qemu"), lxc: configOptions(find, "lxc") };
  const endpoints = Object.entries(ENDPOINTS).flatMap(([path, names]) =>
    names.map((method) => [`${method} ${path}`, endpoint(find(method, path), config)] as const),
  );
  const text = [
    "// Written by scripts/generate-sim-schema.ts from Proxmox's own API schema; do not edit.",
    'import type { ConfigSchema, EndpointSchema } from "./schema.ts";',
    "",
    `export const INDEX_COUNTS = ${print(INDEX_COUNTS)};`,
    "",
    `export const CONFIG_SCHEMAS: { readonly qemu: ConfigSchema; readonly lxc: ConfigSchema } = ${print(config)};`,
    "",
    `export const ENDPOINT_SCHEMAS: Readonly<Record<string, EndpointSchema>> = ${print(Object.fromEntries(endpoints))};`,
    "",
  ].join("\n");
  writeFileSync(OUTPUT, text);
}

/** The keys that a configuration file of this kind may hold; settable ones and the server's own. */
function configOptions(find: (method: string, path: string) => ApiDocMethod, kind: "qemu" | "lxc"): Record<string, unknown> {
  const path = `/nodes/{node}/${kind}/{vmid}/config`;
  const settable = find("PUT", path).parameters.properties ?? {};
  const create = find("POST", `/nodes/{node}/${kind}`).parameters.properties ?? {};
  const stored = find("GET", path).returns?.properties ?? {};
  const names = Object.keys(settable).filter((name) => name in stored && name !== "digest");
  const options: Record<string, unknown> = {};
  for (const name of names.sort()) options[name] = option(create[name] ?? settable[name] ?? {});
  if (kind === "qemu") for (const name of QEMU_INTERNAL) options[name] = { ...option(stored[name] ?? {}), isInternal: true };
  if (kind === "lxc") {
    options["parent"] = { type: "string", optional: 1, format: "pve-configid", maxLength: 40, isInternal: true };
    options["snaptime"] = { type: "integer", optional: 1, minimum: 0, isInternal: true };
  }
  return options;
}

function endpoint(method: ApiDocMethod, config: Readonly<Record<"qemu" | "lxc", Record<string, unknown>>>): unknown {
  const kind = method.path.includes("/qemu") ? "qemu" : "lxc";
  const all = method.parameters.properties ?? {};
  const takesConfig = "description" in all && "memory" in all;
  const inPath = new Set([...method.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]));
  const isOwn = (name: string): boolean => !inPath.has(name) && !(takesConfig && name in config[kind]);
  const own = Object.fromEntries(Object.entries(all).filter(([name]) => isOwn(name)).map(([name, value]) => [name, option(value)]));
  const check = method.permissions?.check;
  const isSimple = Array.isArray(check) && check[0] === "perm" && check[1] === "/vms/{vmid}";
  return {
    parameters: own,
    ...(takesConfig ? { config: kind } : {}),
    ...(isSimple ? { privileges: check[2], ...(check[3] === "any" ? { isAnyEnough: true } : {}) } : {}),
  };
}

function option(source: ApiDocOption): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const key of KEPT) {
    const value = source[key];
    if (value === undefined || (key === "optional" && value === 0)) continue;
    result[key] = typeof value === "string" && key === "pattern" ? javascriptPattern(value) : key.endsWith("imum") ? Number(value) : value;
  }
  if (source["default_key"] !== undefined) result["isDefaultKey"] = true;
  const format = source["format"];
  if (typeof format === "string") result["format"] = format;
  else if (typeof format === "object" && format !== null) {
    result["format"] = Object.fromEntries(Object.entries(format).map(([name, sub]) => [name, option(sub as ApiDocOption)]));
  }
  return result;
}

/** Perl's `(?^:…)`, `(?^u:…)`, atomic groups and `{,n}` in JavaScript's words. */
function javascriptPattern(perl: string): string {
  return perl.replace(/\(\?\^u?:/g, "(?:").replace(/\(\?>/g, "(?:").replace(/\{,(\d+)\}/g, "{0,$1}");
}

/** One line for each key of the second level. */
function print(value: object): string {
  const line = (key: string, content: string): string => `  ${JSON.stringify(key)}: ${content},`;
  const inner = (content: object): string =>
    `{\n${Object.entries(content).map(([key, item]) => `  ${line(key, JSON.stringify(item))}`).join("\n")}\n  }`;
  return `{\n${Object.entries(value).map(([key, item]) => line(key, inner(item as object))).join("\n")}\n}`;
}

main();
