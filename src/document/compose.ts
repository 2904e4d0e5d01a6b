import { Composer, type CST, type Document, isMap, isSeq, type YAMLError, type YAMLMap, YAMLParseError, type YAMLSeq } from "yaml";
import { type HeldItems, holdBack, type Slice } from "./slices.ts";
import type { Steps } from "./steps.ts";

const OPTIONS = {
  intAsBigInt: true, version: "1.2", schema: "core", prettyErrors: false,
  // Otherwise `!!timestamp` and its like would give dates and byte arrays.
  resolveKnownTags: false,
  // "silent" would also keep quiet about a second document.
  logLevel: "error",
  // The library's own check compares every key with every other; `Builder` uses a map.
  uniqueKeys: false,
  // By these a node finds the slices that were held back of it.
  keepSourceTokens: true,
} as const;

/** Errors after which nothing more is composed: far more than are told. */
const ERRORS_MAX = 200;

/** Part of a collection's items, as the library makes them, and the work that took beyond what composing the document did. */
export interface Batch {
  readonly items: readonly unknown[];
  readonly work: number;
}

/** A document whose large collections are composed when they are asked for. */
export class Composition {
  /** In no particular order; complete once every batch was asked for. */
  readonly errors: YAMLError[];
  readonly document: Document.Parsed | undefined;
  readonly #held: HeldItems;

  private constructor(tokens: readonly CST.Token[], textLength: number, held: HeldItems, second: CST.Token | undefined) {
    this.#held = held;
    // Only that there is another one matters.
    const kept = second === undefined ? tokens : tokens.slice(0, tokens.indexOf(second));
    const [composed] = new Composer(OPTIONS).compose(kept, true, textLength);
    this.document = composed;
    this.errors = composed === undefined ? [] : [...composed.errors, ...composed.warnings];
    // Slices would not know what a tag was declared to mean; tags are not supported anyway.
    const tagged = tokens.find((token) => token.type === "directive" && token.source.startsWith("%TAG"));
    if (tagged !== undefined) this.errors.push(new YAMLParseError([tagged.offset, tagged.offset], "BAD_DIRECTIVE", "a %TAG directive"));
    if (second !== undefined) this.errors.push(new YAMLParseError([second.offset, second.offset], "MULTIPLE_DOCS", "more than one document"));
  }

  /** @param tokens a text's top-level tokens */
  static *of(tokens: readonly CST.Token[], textLength: number, stepWork: number): Steps<Composition> {
    const [first, second] = tokens.filter((token) => token.type === "document");
    const held = first === undefined ? new Map<unknown, readonly Slice[]>() : yield* holdBack(first, stepWork);
    return new Composition(tokens, textLength, held, second);
  }

  /** A collection's items, in order. */
  *batches(collection: YAMLMap | YAMLSeq): Generator<Batch, void> {
    yield { items: collection.items, work: 0 };
    for (const slice of this.#held.get(collection.srcToken) ?? []) {
      if (this.errors.length >= ERRORS_MAX) return;
      yield { items: this.#compose(slice), work: slice.work };
    }
  }

  #compose(slice: Slice): readonly unknown[] {
    const { offset } = slice.token;
    const [composed] = new Composer(OPTIONS).compose([{ type: "document", offset, start: [], value: slice.token }]);
    if (composed === undefined) return [];
    this.errors.push(...composed.errors, ...composed.warnings);
    const { contents } = composed;
    const items = isMap(contents) || isSeq(contents) ? contents.items : [];
    return items.slice(slice.isFirstFiller ? 1 : 0);
  }
}
