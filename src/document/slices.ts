import type { CST } from "yaml";
import { type Steps, workOf } from "./steps.ts";

type Collection = CST.BlockMap | CST.BlockSequence | CST.FlowCollection;

/** Some items of a large collection, as a collection of its own. */
export interface Slice {
  readonly token: Collection;
  readonly work: number;
  /** The first item is there only so that the comma before the second is judged as within the whole. */
  readonly isFirstFiller: boolean;
}

/** Tokens before a node that can each be wrong by themselves (a second anchor, a stray bracket): more say nothing new, and each error takes time to make. */
const LOUD_TOKENS_MAX = 100;

/** Comments and empty lines may stand before a node in any number; the library passes over so many in the time that a node takes. */
const QUIET_TOKENS_A_UNIT = 32;

const QUIET_TYPES: ReadonlySet<string> = new Set(["space", "comment", "newline"]);

/**
 * Empties every collection of a document that would take longer than a step to compose, so that what
 * remains of the document is composed at once, and gives the items as slices to compose one by one. The
 * library checks items one by one, too (but keys that repeat, which is done elsewhere).
 */
export function* holdBack(document: CST.Document, stepWork: number): Steps<HeldItems> {
  const scale = new Scale(stepWork);
  document.start = withoutNoise(document.start);
  if (document.end !== undefined) document.end = withoutNoise(document.end);
  if (document.value !== undefined) yield* scale.weigh(document.value);
  return scale.held;
}

/** Which slices were held back of a collection, by its token. */
export type HeldItems = ReadonlyMap<unknown, readonly Slice[]>;

/** Weighs what composing takes. Depth is bounded by the reading. */
class Scale {
  readonly held = new Map<unknown, readonly Slice[]>();
  readonly #stepWork: number;
  #weighed = 0;

  constructor(stepWork: number) {
    this.#stepWork = stepWork;
  }

  /** The work to compose a token without what is held back of it. */
  *weigh(token: CST.Token): Steps<number> {
    return isCollection(token) ? yield* this.#collection(token) : leafWork(token);
  }

  *#collection(collection: Collection): Steps<number> {
    if ("end" in collection) collection.end = withoutNoise(collection.end);
    const works: number[] = [];
    let total = 1;
    for (const item of collection.items) {
      const work = yield* this.#item(item);
      works.push(work);
      total += work;
      if (++this.#weighed % this.#stepWork === 0) yield this.#stepWork;
    }
    if (total <= this.#stepWork) return total;
    this.held.set(collection, slicesOf(collection, works, this.#stepWork));
    collection.items = [];
    return 1;
  }

  *#item(item: CST.CollectionItem): Steps<number> {
    item.start = withoutNoise(item.start);
    if (item.sep !== undefined) item.sep = withoutNoise(item.sep);
    const quiet = Math.floor((item.start.length + (item.sep?.length ?? 0)) / QUIET_TOKENS_A_UNIT);
    const key = item.key === undefined || item.key === null ? 0 : yield* this.weigh(item.key);
    const value = item.value === undefined ? 0 : yield* this.weigh(item.value);
    return 1 + quiet + key + value;
  }
}

function isCollection(token: CST.Token): token is Collection {
  return token.type === "block-map" || token.type === "block-seq" || token.type === "flow-collection";
}

function leafWork(token: CST.Token): number {
  switch (token.type) {
    case "alias":
    case "scalar":
    case "single-quoted-scalar":
    case "double-quoted-scalar":
      if (token.end !== undefined) token.end = withoutNoise(token.end);
      return workOf(token.source);
    default:
      return "source" in token ? workOf(token.source) : 1;
  }
}

function withoutNoise(tokens: CST.SourceToken[]): CST.SourceToken[] {
  if (tokens.length <= LOUD_TOKENS_MAX) return tokens;
  let loud = 0;
  return tokens.filter(({ type }) => QUIET_TYPES.has(type) || ++loud <= LOUD_TOKENS_MAX);
}

function slicesOf(collection: Collection, works: readonly number[], stepWork: number): readonly Slice[] {
  const slices: Slice[] = [];
  let start = 0;
  let work = 0;
  works.forEach((itemWork, index) => {
    if (work > 0 && work + itemWork > stepWork) {
      slices.push(sliceOf(collection, start, index, work));
      start = index;
      work = 0;
    }
    work += itemWork;
  });
  slices.push(sliceOf(collection, start, works.length, work));
  return slices;
}

function sliceOf(collection: Collection, start: number, end: number, work: number): Slice {
  const offset = offsetOfItem(collection.items[start]) ?? collection.offset;
  switch (collection.type) {
    case "block-map":
      return { token: { ...collection, offset, items: collection.items.slice(start, end) }, work, isFirstFiller: false };
    case "block-seq":
      return { token: { ...collection, offset, items: collection.items.slice(start, end) }, work, isFirstFiller: false };
    case "flow-collection":
      return flowSlice(collection, start, end, offset, work);
  }
}

/** Before a first item there must be no comma, before any other there must be one. */
function flowSlice(collection: CST.FlowCollection, start: number, end: number, offset: number, work: number): Slice {
  const { indent } = collection;
  const isMap = collection.start.type === "flow-map-start";
  const isFirstFiller = start > 0;
  const items = collection.items.slice(start, end);
  const close: CST.SourceToken = { type: isMap ? "flow-map-end" : "flow-seq-end", offset, indent, source: isMap ? "}" : "]" };
  return { token: { ...collection, offset, items: isFirstFiller ? [filler(isMap, offset, indent), ...items] : items, end: [close] }, work, isFirstFiller };
}

function filler(isMap: boolean, offset: number, indent: number): CST.CollectionItem {
  const scalar: CST.FlowScalar = { type: "scalar", offset, indent, source: "x" };
  return isMap ? { start: [], key: scalar, sep: [] } : { start: [], value: scalar };
}

function offsetOfItem(item: CST.CollectionItem | undefined): number | undefined {
  return (item?.start[0] ?? item?.key ?? item?.sep?.[0] ?? item?.value)?.offset;
}
