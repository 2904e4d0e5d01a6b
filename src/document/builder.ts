import { isAlias, isMap, isPair, isScalar, isSeq } from "yaml";
import type { Alias, Pair, Scalar, YAMLMap, YAMLSeq } from "yaml";
import type { Composition } from "./compose.ts";
import { DEPTH_MAX, type DocumentNode, type DocumentProblem, type MapEntry, NODES_MAX, PROBLEMS_MAX, shownKey } from "./document.ts";
import type { Steps } from "./steps.ts";

/** Keys that mean something to plain objects themselves; no setting or Proxmox key is called so. */
const FORBIDDEN_KEYS = new Set(["__proto__", "constructor", "prototype"]);

/** Makes a problem of what is wrong at a place. */
export type Say = (kind: DocumentProblem["kind"], offset: number, message: string) => DocumentProblem;

interface Anchored {
  readonly node: DocumentNode;
  readonly size: number;
}

/** Turns the library's nodes into the tree, counting what aliases stand for. */
export class Builder {
  readonly problems: DocumentProblem[] = [];
  readonly #composition: Composition;
  readonly #say: Say;
  readonly #anchors = new Map<string, Anchored | "open">();
  #size = 0;

  constructor(composition: Composition, say: Say) {
    this.#composition = composition;
    this.#say = say;
  }

  /** Nodes so far, with every alias written out. */
  size(): number {
    return this.#size;
  }

  /** undefined: refused, and `problems` says why. */
  *build(node: unknown, depth: number): Steps<DocumentNode | undefined> {
    const offset = offsetOfNode(node);
    if (this.problems.length >= PROBLEMS_MAX) return undefined;
    if (depth > DEPTH_MAX) return this.#refuse("too_large", offset, `expected at most ${DEPTH_MAX} levels, found more`);
    if (isAlias(node)) return this.#alias(node, offset);
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) this.#anchors.set(anchor, "open");
    const sizeBefore = this.#size;
    if (++this.#size > NODES_MAX) return this.#refuseSize(offset);
    const built = yield* this.#content(node, offset, depth);
    if (anchor !== undefined && built !== undefined) this.#anchors.set(anchor, { node: built, size: this.#size - sizeBefore });
    return built;
  }

  *#content(node: unknown, offset: number, depth: number): Steps<DocumentNode | undefined> {
    if (isMap(node)) return yield* this.#map(node, offset, depth);
    if (isSeq(node)) return yield* this.#list(node, offset, depth);
    if (isScalar(node)) return this.#scalar(node, offset);
    // A key without a value (`{ a, b }`) has no node at all.
    return { type: "scalar", offset, value: null };
  }

  #alias(alias: Alias, offset: number): DocumentNode | undefined {
    const target = this.#anchors.get(alias.source);
    if (target === undefined) return this.#refuse("syntax", offset, "expected an alias of an anchor further up, found one that no anchor has");
    if (target === "open") return this.#refuse("syntax", offset, "expected an alias of something complete, found one of what contains it");
    this.#size += target.size;
    if (this.#size > NODES_MAX) return this.#refuseSize(offset);
    return target.node;
  }

  #refuseSize(offset: number): undefined {
    const isTold = this.problems.some(({ kind }) => kind === "too_large");
    return isTold ? undefined : this.#refuse("too_large", offset, `expected at most ${NODES_MAX} values with aliases written out, found more; split the file`);
  }

  #scalar(scalar: Scalar, offset: number): DocumentNode | undefined {
    const value = scalarValue(scalar);
    if (typeof value === "string" && (value.includes("\0") || !value.isWellFormed())) {
      return this.#refuse("syntax", offset, "expected text, found a NUL or half a surrogate pair, which Proxmox cannot hold");
    }
    return { type: "scalar", offset, value };
  }

  *#list(list: YAMLSeq, offset: number, depth: number): Steps<DocumentNode> {
    const items: DocumentNode[] = [];
    for (const batch of this.#composition.batches(list)) {
      for (const item of batch.items) {
        const built = yield* this.build(item, depth + 1);
        if (built !== undefined) items.push(built);
      }
      if (batch.work > 0) yield batch.work;
    }
    return { type: "list", offset, items };
  }

  *#map(map: YAMLMap, offset: number, depth: number): Steps<DocumentNode> {
    const entries = new Map<string, MapEntry>();
    for (const batch of this.#composition.batches(map)) {
      for (const item of batch.items) if (isPair(item)) yield* this.#entry(item, entries, offset, depth);
      if (batch.work > 0) yield batch.work;
    }
    return { type: "map", offset, entries };
  }

  *#entry(pair: Pair, entries: Map<string, MapEntry>, mapOffset: number, depth: number): Steps<void> {
    const keyOffset = pair.key === null ? mapOffset : offsetOfNode(pair.key);
    const key = keyText(pair.key);
    if (key === undefined || FORBIDDEN_KEYS.has(key)) {
      this.#refuse("syntax", keyOffset, "expected a key that is a name, found one that cannot be one");
      return;
    }
    const earlier = entries.get(key);
    if (earlier !== undefined) {
      const first = this.#say("syntax", earlier.keyOffset, "").message.replace(/: $/, "");
      this.#refuse("syntax", keyOffset, `expected each key once, found \`${shownKey(key)}\` again (first at ${first}); remove one`);
      return;
    }
    const node = yield* this.build(pair.value, depth + 1);
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
