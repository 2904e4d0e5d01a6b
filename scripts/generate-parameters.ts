/**
 * Takes what may be written into a guest's config (names, types, formats, enumerations, ranges) out of
 * Proxmox's machine-readable API schema and writes it as src/parameters/schema.gen.ts. No sentence of the
 * schema is kept. Run: bun scripts/generate-parameters.ts <apidoc-guests.json> [output file]
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { INDEX_COUNTS, option, print, readMethods, type FindMethod } from "./proxmox-schema.ts";

const OUTPUT = join(import.meta.dir, "../src/parameters/schema.gen.ts");

/** Parameters of the request, not keys of the config. */
const OF_THE_REQUEST = new Set(["background_delay", "delete", "digest", "force", "import-working-storage", "node", "revert", "skiplock", "vmid"]);

/** What only the server's own code needs, or what says nothing about a value. */
const DROPPED = new Set(["optional", "requires"]);

export function parametersText(file: string): string {
  const find = readMethods(file);
  return [
    "// Written by scripts/generate-parameters.ts from Proxmox's own API schema (Proxmox VE 9.2); do not edit.",
    'import type { GuestKind } from "../guest/key.ts";',
    'import type { Parameter } from "./types.ts";',
    "",
    "/** How many of each numbered key there are. */",
    `export const INDEX_COUNTS: Readonly<Record<GuestKind, Readonly<Record<string, number>>>> = ${print(INDEX_COUNTS)};`,
    "",
    "/** Config keys; `net[n]` stands for the numbered ones. */",
    `export const PARAMETERS: Readonly<Record<GuestKind, Readonly<Record<string, Parameter>>>> = ${print({ qemu: parameters(find, "qemu"), lxc: parameters(find, "lxc") })};`,
    "",
  ].join("\n");
}

function parameters(find: FindMethod, kind: "qemu" | "lxc"): Record<string, unknown> {
  const all = find("PUT", `/nodes/{node}/${kind}/{vmid}/config`).parameters.properties ?? {};
  const names = Object.keys(all).filter((name) => !OF_THE_REQUEST.has(name)).sort();
  return Object.fromEntries(names.map((name) => [name, withoutDropped(option(all[name] ?? {}))]));
}

function withoutDropped(facts: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(facts).filter(([name]) => !DROPPED.has(name));
  return Object.fromEntries(entries.map(([name, value]) => [name, name === "format" && typeof value === "object" ? subKeys(value) : value]));
}

function subKeys(format: unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(format as Record<string, Record<string, unknown>>).map(([name, sub]) => [name, withoutDropped(sub)]));
}

if (import.meta.main) {
  const [source, output = OUTPUT] = process.argv.slice(2);
  if (source === undefined) throw new Error("usage: bun scripts/generate-parameters.ts <apidoc-guests.json> [output file]");
  writeFileSync(output, parametersText(source));
}
