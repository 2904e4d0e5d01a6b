import { readFileSync } from "node:fs";

/**
 * What the generators share: reading Proxmox's machine-readable API schema and keeping its facts (names,
 * types, formats, enumerations, ranges), none of its sentences.
 */
export interface ApiDocMethod {
  readonly method: string;
  readonly path: string;
  readonly parameters: { readonly properties?: Readonly<Record<string, ApiDocOption>> };
  readonly returns?: { readonly properties?: Readonly<Record<string, ApiDocOption>> };
  readonly permissions?: { readonly check?: readonly unknown[]; readonly user?: string };
}

export type ApiDocOption = Readonly<Record<string, unknown>>;

/** Keys that are copied, in the order they are written. */
const KEPT = ["type", "optional", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "requires", "alias", "keyAlias"];

/** How many of each indexed key exist; the schema writes them as `net[n]`. */
export const INDEX_COUNTS = {
  qemu: { ide: 4, sata: 6, scsi: 31, virtio: 16, net: 32, ipconfig: 32, unused: 256, hostpci: 16, usb: 14, serial: 4, parallel: 3, numa: 8, virtiofs: 10 },
  lxc: { net: 32, mp: 256, unused: 256, dev: 256 },
};

export type FindMethod = (method: string, path: string) => ApiDocMethod;

/** The methods of an `apidoc` file, by method and path; throws when there is no such one. */
export function readMethods(file: string): FindMethod {
  const methods = JSON.parse(readFileSync(file, "utf8")) as ApiDocMethod[];
  return (method, path) => {
    const found = methods.find((entry) => entry.method === method && entry.path === path);
    if (found === undefined) throw new Error(`the schema has no ${method} ${path}`);
    return found;
  };
}

/** The facts of one option. */
export function option(source: ApiDocOption): Record<string, unknown> {
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
export function print(value: object): string {
  const line = (key: string, content: string): string => `  ${JSON.stringify(key)}: ${content},`;
  const inner = (content: object): string =>
    `{\n${Object.entries(content).map(([key, item]) => `  ${line(key, JSON.stringify(item))}`).join("\n")}\n  }`;
  return `{\n${Object.entries(value).map(([key, item]) => line(key, inner(item as object))).join("\n")}\n}`;
}
