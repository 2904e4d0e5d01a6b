import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument as parseYaml } from "yaml";
import type { Alias, Document, Pair, Scalar, YAMLError, YAMLMap, YAMLSeq } from "yaml";
import { type DocumentNode, type DocumentPosition, type DocumentProblem, type DocumentResult, formatPosition, DEPTH_MAX, NODES_MAX, PROBLEMS_MAX, type MapEntry } from "./document.ts";
import { syntaxMessage } from "./syntax-message.ts";

/** Keys that mean something to plain objects themselves; no setting or Proxmox key is called so. */
const FORBIDDEN_KEYS = new Set(["__proto__", "constructor", "prototype"]);

/**
 * Parses YAML 1.2 (core schema), or JSON where the name ends in `.json`, into a tree with positions.
 * One document a text; explicit tags other than the core ones, duplicate keys, keys that are not
 * text and texts that hold nothing are refused. Several problems are told at once, in order.
 */
export function parseDocument(file: string, text: string): DocumentResult {
  const lines = new LineCounter();
  const positionAt = (offset: number): DocumentPosition => {
    const { line, col } = lines.linePos(Math.max(0, offset));
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const say = (kind: DocumentProblem["kind"], offset: number, message: string): DocumentProblem => ({
    kind,
    message: `${formatPosition(positionAt(offset))}: ${message}`,
  });
  const yaml = parseYaml(text, {
    lineCounter: lines, intAsBigInt: true, version: "1.2", schema: "core", prettyErrors: false,
    // Otherwise `!!timestamp` and its like would give dates and byte arrays.
    resolveKnownTags: false,
    // "silent" would also keep quiet about a second document.
    logLevel: "error",
    // The library's own check compares every key with every other; `Builder` uses a map.
    uniqueKeys: false,
  });
  const syntax = syntaxProblems(file, text, yaml, say);
  if (syntax.length > 0) return { ok: false, problems: syntax };
  const builder = new Builder(say);
  const root = builder.build(yaml.contents, 0);
  if (root === undefined || builder.problems.length > 0) return { ok: false, problems: builder.problems };
  return { ok: true, tree: { file, root, positionAt } };
}

type Say = (kind: DocumentProblem["kind"], offset: number, message: string) => DocumentProblem;

function syntaxProblems(file: string, text: string, yaml: Document.Parsed, say: Say): DocumentProblem[] {
  const found: YAMLError[] = [...yaml.errors, ...yaml.warnings];
  found.sort((left, right) => left.pos[0] - right.pos[0]);
  // One unclosed bracket inside another is one thing to mend: the same words for the same place are said once.
  const said = new Map(found.slice(0, PROBLEMS_MAX * 10).map((error) => [`${error.pos[0]} ${error.code}`, error] as const));
  const problems = [...said.values()].slice(0, PROBLEMS_MAX).map((error) => say("syntax", error.pos[0], syntaxMessage(error)));
  if (problems.length > 0) return problems;
  const explicitVersion = yaml.directives.yaml;
  if (explicitVersion.explicit === true && explicitVersion.version !== "1.2") {
    return [say("syntax", 0, "expected YAML 1.2, found a %YAML directive for another version; remove it")];
  }
  if (yaml.contents === null || (isScalar(yaml.contents) && yaml.contents.value === null)) {
    return [say("empty", 0, "expected a document, found nothing; an empty or truncated file is never taken for an empty declaration")];
  }
  if (file.endsWith(".json") && !isJson(text)) {
    return [say("syntax", 0, "expected JSON because the name ends in .json, found YAML; rename the file to .yaml")];
  }
  return [];
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

interface Anchored {
  readonly node: DocumentNode;
  readonly size: number;
}

/** Turns the library's nodes into the tree, counting what aliases stand for. */
class Builder {
  readonly problems: DocumentProblem[] = [];
  readonly #say: Say;
  readonly #anchors = new Map<string, Anchored | "open">();
  #size = 0;

  constructor(say: Say) {
    this.#say = say;
  }

  /** undefined: refused, and `problems` says why. */
  build(node: unknown, depth: number): DocumentNode | undefined {
    const offset = offsetOfNode(node);
    if (this.problems.length >= PROBLEMS_MAX) return undefined;
    if (depth > DEPTH_MAX) return this.#refuse("too_large", offset, `expected at most ${DEPTH_MAX} levels, found more`);
    if (isAlias(node)) return this.#alias(node, offset);
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) this.#anchors.set(anchor, "open");
    const sizeBefore = this.#size;
    this.#size += 1;
    const built = this.#content(node, offset, depth);
    if (anchor !== undefined && built !== undefined) this.#anchors.set(anchor, { node: built, size: this.#size - sizeBefore });
    return built;
  }

  #content(node: unknown, offset: number, depth: number): DocumentNode | undefined {
    if (isMap(node)) return this.#map(node, offset, depth);
    if (isSeq(node)) return this.#list(node, offset, depth);
    if (isScalar(node)) return this.#scalar(node, offset);
    // A key without a value (`{ a, b }`) has no node at all.
    return { type: "scalar", offset, value: null };
  }

  #alias(alias: Alias, offset: number): DocumentNode | undefined {
    const target = this.#anchors.get(alias.source);
    if (target === undefined) return this.#refuse("syntax", offset, "expected an alias of an anchor further up, found one that no anchor has");
    if (target === "open") return this.#refuse("syntax", offset, "expected an alias of something complete, found one of what contains it");
    this.#size += target.size;
    if (this.#size > NODES_MAX) return this.#refuse("too_large", offset, `expected at most ${NODES_MAX} values with aliases written out, found more`);
    return target.node;
  }

  #scalar(scalar: Scalar, offset: number): DocumentNode | undefined {
    const value = scalarValue(scalar);
    if (typeof value === "string" && (value.includes("\0") || !value.isWellFormed())) {
      return this.#refuse("syntax", offset, "expected text, found a NUL or half a surrogate pair, which Proxmox cannot hold");
    }
    return { type: "scalar", offset, value };
  }

  #list(list: YAMLSeq, offset: number, depth: number): DocumentNode {
    const items = list.items.map((item) => this.build(item, depth + 1)).filter((item) => item !== undefined);
    return { type: "list", offset, items };
  }

  #map(map: YAMLMap, offset: number, depth: number): DocumentNode {
    const entries = new Map<string, MapEntry>();
    for (const pair of map.items) this.#entry(pair, entries, offset, depth);
    return { type: "map", offset, entries };
  }

  #entry(pair: Pair, entries: Map<string, MapEntry>, mapOffset: number, depth: number): void {
    const keyOffset = pair.key === null ? mapOffset : offsetOfNode(pair.key);
    const key = keyText(pair.key);
    if (key === undefined || FORBIDDEN_KEYS.has(key)) {
      this.#refuse("syntax", keyOffset, "expected a key that is a name, found one that cannot be one");
      return;
    }
    const earlier = entries.get(key);
    if (earlier !== undefined) {
      const first = this.#say("syntax", earlier.keyOffset, "").message.replace(/: $/, "");
      this.#refuse("syntax", keyOffset, `expected each key once, found \`${key}\` again (first at ${first}); remove one`);
      return;
    }
    const node = this.build(pair.value, depth + 1);
    if (node !== undefined) entries.set(key, { keyOffset, node: hasPlace(pair.value) ? node : { ...node, offset: keyOffset } });
  }

  #refuse(kind: DocumentProblem["kind"], offset: number, message: string): undefined {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(this.#say(kind, offset, message));
    return undefined;
  }
}

function keyText(key: unknown): string | undefined {
  if (!isScalar(key) || key.value === null) return undefined;
  return typeof key.value === "string" ? key.value : key.source;
}

function hasPlace(node: unknown): boolean {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node);
}

function offsetOfNode(node: unknown): number {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? (node.range?.[0] ?? 0) : 0;
}

/** Numbers that would not print as they were written stay as written: `machine: 9.0`, `vendor-id: 0x10de`, big integers. */
function scalarValue(scalar: Scalar): string | number | boolean | null {
  const { value, source } = scalar;
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  const number = Number(value);
  const written = source ?? String(number);
  return Number.isFinite(number) && String(number) === written ? number : written;
}
