import { dirname, resolve } from "node:path";
import { type DocumentNode, type DocumentPosition, type DocumentTree, formatPosition, type MapNode } from "../document/document.ts";
import { suggestName } from "../document/nearest.ts";
import { flagOf, OTHER_VARIABLES, VARIABLE_PREFIX, variableOf } from "./names.ts";
import { isSettingKey, PATH_SETTINGS, SETTINGS, type SettingKey } from "./settings.ts";

/** Where a setting's value came from. */
export type SettingOrigin =
  | { readonly from: "default" }
  | { readonly from: "file"; readonly position: DocumentPosition }
  | { readonly from: "environment"; readonly variable: string }
  | { readonly from: "flag"; readonly flag: string };

/** A setting as it was written somewhere. */
export interface Written {
  readonly text: string;
  readonly origin: SettingOrigin;
}

/** What one place says: defaults, the file, the environment, or the flags. */
export type Layer = ReadonlyMap<SettingKey, Written>;

export interface ConfigProblem {
  readonly code: "config.syntax" | "config.schema" | "config.insecure" | "command.usage";
  /** Complete: "place: key: expected …, found …; do …". */
  readonly message: string;
}

/** A layer, and what was wrong with how it was written. */
export interface LayerReading {
  readonly layer: Layer;
  readonly problems: readonly ConfigProblem[];
}

/** "file:3:7", "variable STEWARD_NODE", "flag --node": where a message sends its reader. */
export function formatOrigin(origin: SettingOrigin): string {
  switch (origin.from) {
    case "default":
      return "default";
    case "file":
      return formatPosition(origin.position);
    case "environment":
      return `variable ${origin.variable}`;
    case "flag":
      return `flag ${origin.flag}`;
  }
}

/** A value that was said on the command line makes the command line wrong, whatever else it is. */
export function problemCode(code: ConfigProblem["code"], origin: SettingOrigin): ConfigProblem["code"] {
  return origin.from === "flag" ? "command.usage" : code;
}

/** The file's settings. Relative paths are taken from the file's own directory. */
export function fileLayer(tree: DocumentTree): LayerReading {
  const reader = new FileReader(tree);
  if (tree.root.type === "map") reader.readMap(tree.root, "");
  else reader.complain(tree.root.offset, "", `expected a map of settings, found ${describeNode(tree.root)}`);
  return { layer: reader.layer, problems: reader.problems };
}

/** `STEWARD_…` variables. Relative paths are taken from the working directory. */
export function environmentLayer(environment: Readonly<Record<string, string | undefined>>, workingDirectory: string): LayerReading {
  const layer = new Map<SettingKey, Written>();
  const problems: ConfigProblem[] = [];
  const keyOf = new Map(SETTINGS.map(({ key }) => [variableOf(key), key] as const));
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(VARIABLE_PREFIX) || text === undefined || OTHER_VARIABLES.includes(variable)) continue;
    const key = keyOf.get(variable);
    if (key === undefined) {
      const suggestion = suggestName(variable, [...keyOf.keys(), ...OTHER_VARIABLES]);
      const hint = suggestion.includes("did you mean") ? suggestion : "; docs/configuration.md lists them";
      problems.push({ code: "config.schema", message: `variable ${variable}: expected the variable of a setting, found an unknown one${hint}` });
    } else layer.set(key, { text: absolute(key, text, workingDirectory), origin: { from: "environment", variable } });
  }
  return { layer, problems };
}

/** Flags. Relative paths are taken from the working directory. */
export function flagLayer(flags: Readonly<Partial<Record<SettingKey, string>>>, workingDirectory: string): Layer {
  const layer = new Map<SettingKey, Written>();
  for (const { key } of SETTINGS) {
    const text = flags[key];
    if (text !== undefined) layer.set(key, { text: absolute(key, text, workingDirectory), origin: { from: "flag", flag: flagOf(key) } });
  }
  return layer;
}

function absolute(key: SettingKey, text: string, base: string): string {
  return PATH_SETTINGS.has(key) && text !== "" ? resolve(base, text) : text;
}

/** Walks the file's maps along the table's keys. */
class FileReader {
  readonly layer = new Map<SettingKey, Written>();
  readonly problems: ConfigProblem[] = [];
  readonly #tree: DocumentTree;

  constructor(tree: DocumentTree) {
    this.#tree = tree;
  }

  readMap(map: MapNode, prefix: string): void {
    const known = childrenOf(prefix);
    for (const [name, { keyOffset, node }] of map.entries) {
      const key = `${prefix}${name}`;
      if (known.includes(name)) this.#readValue(key, node);
      else this.complain(keyOffset, key, `expected a setting, found an unknown one${suggestName(name, known)}`);
    }
  }

  #readValue(key: string, node: DocumentNode): void {
    const isGroup = childrenOf(`${key}.`).length > 0;
    if (node.type === "map" && isGroup) {
      if (node.entries.size === 0 && isSettingKey(key)) this.complain(node.offset, key, `expected one of ${childrenOf(`${key}.`).join(", ")}, found an empty map; remove \`${key}\` for the default`);
      return this.readMap(node, `${key}.`);
    }
    if (!isSettingKey(key)) return this.complain(node.offset, key, `expected a map with ${childrenOf(`${key}.`).join(", ")}, found ${describeNode(node)}`);
    if (node.type !== "scalar") return this.complain(node.offset, key, `expected one value, found ${describeNode(node)}`);
    if (node.value === null) return this.complain(node.offset, key, "expected a value, found nothing; remove the key for the default");
    const text = absolute(key, String(node.value), dirname(this.#tree.file));
    this.layer.set(key, { text, origin: { from: "file", position: this.#tree.positionAt(node.offset) } });
  }

  complain(offset: number, key: string, message: string): void {
    const where = formatPosition(this.#tree.positionAt(offset));
    this.problems.push({ code: "config.schema", message: `${where}: ${key === "" ? "" : `${key}: `}${message}` });
  }
}

/** Names that may stand under `prefix` ("" or "proxmox."). */
function childrenOf(prefix: string): string[] {
  const names = SETTINGS.filter(({ key }) => key.startsWith(prefix)).map(({ key }) => key.slice(prefix.length).split(".")[0] ?? "");
  return [...new Set(names)];
}

function describeNode(node: DocumentNode): string {
  if (node.type === "map") return "a map";
  if (node.type === "list") return "a list";
  return node.value === null ? "nothing" : "a single value";
}
