/**
 * Takes facts (names, types, formats, enumerations, ranges, required privileges) out of Proxmox's
 * machine-readable API schema and writes them as src/simulator/host/schema.gen.ts. No sentence of the
 * schema is kept. Run: bun scripts/generate-sim-schema.ts <apidoc-guests.json>
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { INDEX_COUNTS, option, print, readMethods, type ApiDocMethod, type FindMethod } from "./proxmox-schema.ts";

const OUTPUT = join(import.meta.dir, "../src/simulator/host/schema.gen.ts");

/** Server-owned keys that configuration files hold besides the settable ones. */
const QEMU_INTERNAL = ["meta", "parent", "snaptime", "vmstate", "runningmachine", "runningcpu", "running-nets-host-mtu"];

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
  const find = readMethods(source);
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
function configOptions(find: FindMethod, kind: "qemu" | "lxc"): Record<string, unknown> {
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

main();
