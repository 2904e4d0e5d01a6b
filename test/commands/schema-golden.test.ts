import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { schemaText } from "../../src/commands/schema.ts";

/**
 * What `agent schema` says, a line a key and a line a sub-key: what an editor completes and marks is an
 * interface. Written anew with STEWARD_WRITE_GOLDEN=1; read the diff.
 */
interface Part {
  readonly $ref?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: string | number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, Part>>;
  readonly patternProperties?: Readonly<Record<string, Part>>;
  readonly anyOf?: readonly Part[];
  readonly definitions?: Readonly<Record<string, Part>>;
}

/** "integer >=1 | null | text /^…$/", without maps: those get lines of their own. */
function formOf(part: Part): string {
  if (part.$ref !== undefined) return part.$ref.replace("#/definitions/", "");
  if (part.anyOf !== undefined) return [...new Set(part.anyOf.map(formOf))].join(" | ");
  if (part.enum !== undefined) return part.enum.map(String).join(",");
  if (part.const !== undefined) return String(part.const);
  const bounds = [part.minimum === undefined ? "" : ` >=${part.minimum}`, part.maximum === undefined ? "" : ` <=${part.maximum}`, part.maxLength === undefined ? "" : ` up to ${part.maxLength}`, part.pattern === undefined ? "" : ` /${part.pattern}/`];
  return `${typeof part.type === "string" ? part.type : (part.type ?? []).join(",")}${bounds.join("")}`;
}

function mapsOf(part: Part): readonly Part[] {
  return [part, ...(part.anyOf ?? [])].filter(({ properties }) => properties !== undefined);
}

function linesOf(name: string, part: Part, indent = ""): readonly string[] {
  const head = `${indent}${name}: ${formOf(part)}${part.description === undefined ? "" : ` -- ${part.description}`}`;
  const below = mapsOf(part).flatMap(({ properties = {} }) => Object.entries(properties).flatMap(([key, sub]) => linesOf(key, sub, `${indent}  `)));
  return [head, ...below];
}

function expectGolden(name: string, lines: readonly string[]): void {
  const path = join(import.meta.dir, "golden", name);
  const text = `${lines.join("\n")}\n`;
  if (process.env["STEWARD_WRITE_GOLDEN"] === "1") writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, "utf8"));
}

test("agent schema desired: every key and sub-key", () => {
  const { definitions = {} } = schemaText("desired") as Part;
  expectGolden("schema-desired.txt", Object.entries(definitions).flatMap(([name, part]) => linesOf(name, part)));
});

test("agent schema config: every setting", () => {
  expectGolden("schema-config.txt", linesOf("settings", schemaText("config")));
});
