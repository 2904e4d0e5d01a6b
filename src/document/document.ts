/**
 * YAML and JSON text with positions: what config/ and desired/ have in common. Promises: the same
 * text gives the same tree; keys are unique text; numbers are never rounded; aliases, depth and size
 * are bounded; every problem names file:line:col and never quotes a value. What the tree means, and
 * which keys it may hold, is left to the rooms that read it.
 */

/** Where something stands in a file. Lines and columns count from 1. */
export interface DocumentPosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A node of the tree. `offset` is its place in the text; `DocumentTree.positionAt` turns it into a line and column. */
export type DocumentNode = ScalarNode | ListNode | MapNode;

interface ScalarNode {
  readonly type: "scalar";
  readonly offset: number;
  /** A number only where printing it gives back what was written (4, 0.5); `9.0`, `0x10`, `007` and big integers are text. */
  readonly value: string | number | boolean | null;
}

interface ListNode {
  readonly type: "list";
  readonly offset: number;
  readonly items: readonly DocumentNode[];
}

export interface MapNode {
  readonly type: "map";
  readonly offset: number;
  readonly entries: ReadonlyMap<string, MapEntry>;
}

export interface MapEntry {
  readonly keyOffset: number;
  readonly node: DocumentNode;
}

export interface DocumentTree {
  readonly file: string;
  readonly root: DocumentNode;
  /** Nodes, with every alias written out. */
  readonly size: number;
  positionAt(offset: number): DocumentPosition;
}

/** Why a text gave no tree. `message` is complete: "file:line:col: …". */
export interface DocumentProblem {
  readonly kind: "syntax" | "empty" | "too_large";
  readonly message: string;
}

export type DocumentResult =
  | { readonly ok: true; readonly tree: DocumentTree }
  | { readonly ok: false; readonly problems: readonly DocumentProblem[] };

/** Containers inside one another. A guest needs five; the rest is room, far below where a parser's stack ends. */
export const DEPTH_MAX = 32;

/** Nodes in a tree, counted with every alias written out, so that nested aliases cannot multiply. Twice what 1 MiB of everyday guests holds. */
export const NODES_MAX = 250_000;

/** Problems told for one file: enough to mend it in one go, few enough to read. */
export const PROBLEMS_MAX = 20;

/** "file:line:col", as editors and terminals understand it. */
export function formatPosition(position: DocumentPosition): string {
  return `${printableName(position.file)}:${position.line}:${position.column}`;
}

/** What a terminal or a log reader could take for something else than text: control characters, line ends, marks that turn the direction of writing, halves of characters. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/** A file name that cannot break a log line or play tricks on a terminal: in quotes and with escapes when there is anything but plain text in it. */
export function printableName(name: string): string {
  if (!UNPRINTABLE.test(name)) return name;
  return printableText(JSON.stringify(name));
}

/** One line of a message that quotes what somebody wrote, with escapes for all that a terminal or a log reader would not show as text. */
export function printableText(text: string): string {
  return text.replace(new RegExp(UNPRINTABLE, "gu"), (character) => [...Array(character.length).keys()].map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`).join(""));
}

/** Keys in messages are cut here, in characters: the longest one that means anything has some thirty. */
const SHOWN_KEY_LENGTH_MAX = 70;

/** A key as a message shows it: bounded, and nothing but text. */
export function shownKey(key: string): string {
  return printableText(key.length > SHOWN_KEY_LENGTH_MAX ? `${key.slice(0, SHOWN_KEY_LENGTH_MAX)}…` : key);
}

/** The plain value of a tree, for a schema to judge. Keys that plain objects treat specially were refused when parsing. */
export function toPlain(node: DocumentNode): unknown {
  switch (node.type) {
    case "scalar":
      return node.value;
    case "list":
      return node.items.map(toPlain);
    case "map":
      return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toPlain(entry.node)]));
  }
}

/**
 * Where `path` leads in a tree: the place of the key it ends in for `"key"`, of the value for
 * `"value"`. A path that goes on after the tree ends gives the last place there is, which is where
 * something is missing.
 */
export function offsetOf(root: DocumentNode, path: readonly (string | number)[], what: "key" | "value"): number {
  let node = root;
  let keyOffset = root.offset;
  for (const step of path) {
    const next = stepInto(node, step);
    if (next === undefined) return node.offset;
    node = next.node;
    keyOffset = next.keyOffset;
  }
  return what === "key" ? keyOffset : node.offset;
}

function stepInto(node: DocumentNode, step: string | number): MapEntry | undefined {
  if (node.type === "map") return node.entries.get(String(step));
  if (node.type !== "list") return undefined;
  const item = node.items[Number(step)];
  return item === undefined ? undefined : { keyOffset: item.offset, node: item };
}
