import { applyDataChange, MemoryFileSystem, type Change, type DataChange } from "../support/memory-file-system.ts";
import type { SeededRandom } from "./journal-fixture.ts";

/**
 * Derives the states that a crash may leave from what a simulated disk recorded. Of the changes that were
 * not yet durable any subset may have happened: all subsets while there are few, else a sample. An append
 * that happened may be cut at any byte, its rest missing, zeros or garbage. Names and data are
 * independent.
 */
interface Pending<C> {
  readonly index: number;
  readonly change: C;
}

type NameChange = Extract<Change, { type: "create" | "makeDirectory" | "rename" | "remove" }>;

/** A disk image after a crash, and what was chosen to get it. */
export interface CrashState {
  readonly directories: readonly string[];
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly choice: string;
}

/** How much is tried at every prefix of the changes. */
export interface Effort {
  /** Changes up to which all subsets are tried. */
  readonly exhaustiveUpTo: number;
  /** Subsets that are tried otherwise. */
  readonly samples: number;
  /** Places at which the newest write is cut, with each of the fillers; "every" byte in the long run. */
  readonly cutsOfLast: number | "every";
  /** Places at which other writes are cut. */
  readonly cutsOfOthers: number;
}

/** The least: everything happened, nothing happened, and a few in between. */
export const FEW: Effort = { exhaustiveUpTo: 0, samples: 1, cutsOfLast: 1, cutsOfOthers: 0 };

const FILLERS = ["nothing", "zeros", "garbage"] as const;

/** One way a write happened in part. */
interface Cut {
  readonly at: number;
  readonly filler: (typeof FILLERS)[number];
  readonly seed: number;
}

/** What is durable and what is under way after a prefix of the changes. */
export class DiskModel {
  readonly #directories: Set<string>;
  readonly #names = new Map<string, number>();
  readonly #durable = new Map<number, Uint8Array>();
  #pendingNames: Pending<NameChange>[] = [];
  #pendingData: Pending<DataChange>[] = [];
  #index = 0;

  constructor(directories: readonly string[], files: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.#directories = new Set(directories);
    // Inode numbers as MemoryFileSystem gives them to the files it is made with.
    for (const [offset, [path, bytes]] of [...files].entries()) {
      this.#names.set(path, 100 + offset);
      this.#durable.set(100 + offset, bytes);
    }
  }

  apply(change: Change): void {
    const index = this.#index++;
    switch (change.type) {
      case "create":
      case "makeDirectory":
      case "rename":
      case "remove":
        this.#pendingNames.push({ index, change });
        return;
      case "write":
      case "truncate":
        this.#pendingData.push({ index, change });
        return;
      case "dataSync":
        this.#pendingData = this.#pendingData.filter((pending) => !this.#becomesDurable(pending, change.inode, change.upTo));
        return;
      case "dataSyncFailed":
        // The pages were marked clean without having been written.
        this.#pendingData = this.#pendingData.filter(({ index: at, change: pending }) => pending.inode !== change.inode || at >= change.upTo);
        return;
      case "syncDirectory":
        this.#pendingNames = this.#pendingNames.filter((pending) => {
          const isCovered = pending.index < change.upTo && parent("to" in pending.change ? pending.change.to : pending.change.path) === change.path;
          if (isCovered) applyName(this.#directories, this.#names, pending.change);
          return !isCovered;
        });
    }
  }

  /** The state after a crash now in which nothing that was not synced happened. */
  synced(): CrashState {
    return this.#materialise([], [], new Map());
  }

  /** States after a crash now; the two extremes (all happened, nothing happened) first. */
  *states(random: SeededRandom, effort: Effort): Generator<CrashState> {
    const pending = [...this.#pendingNames, ...this.#pendingData].sort((left, right) => left.index - right.index);
    yield this.#materialise(pending, pending.map(() => true), new Map());
    if (pending.length === 0) return;
    yield this.#materialise(pending, pending.map(() => false), new Map());
    for (const kept of subsets(pending.length, random, effort)) yield this.#materialise(pending, kept, new Map());
    const writes = pending.filter(({ change }) => change.type === "write");
    for (const { index, change } of writes) {
      const isLast = index === writes.at(-1)?.index;
      for (const cut of cutsOf(change, isLast ? effort.cutsOfLast : effort.cutsOfOthers, random)) {
        // Alone with all the others, and with a part of them.
        const all = pending.map(() => true);
        const some = pending.map((other) => other.index === index || random.fraction() < 0.6);
        yield this.#materialise(pending, random.fraction() < 0.5 || pending.length === 1 ? all : some, new Map([[index, cut]]));
      }
    }
  }

  #becomesDurable({ index, change }: Pending<DataChange>, inode: number, upTo: number): boolean {
    if (change.inode !== inode || index >= upTo) return false;
    this.#durable.set(inode, applyDataChange(this.#durable.get(inode) ?? new Uint8Array(), change));
    return true;
  }

  #materialise(pending: readonly Pending<Change>[], kept: readonly boolean[], cuts: ReadonlyMap<number, Cut>): CrashState {
    const directories = new Set(this.#directories);
    const names = new Map(this.#names);
    const contents = new Map(this.#durable);
    const choice: string[] = [];
    for (const [position, { index, change }] of pending.entries()) {
      if (kept[position] !== true) continue;
      const cut = cuts.get(index);
      choice.push(`${index}:${change.type}${cut === undefined ? "" : ` cut@${cut.at}+${cut.filler}`}`);
      if (change.type === "write" || change.type === "truncate") {
        const before = contents.get(change.inode) ?? new Uint8Array();
        contents.set(change.inode, cut === undefined || change.type === "truncate" ? applyDataChange(before, change) : applyCut(before, change, cut));
      } else if (change.type !== "dataSync" && change.type !== "dataSyncFailed" && change.type !== "syncDirectory") {
        applyName(directories, names, change);
      }
    }
    const files = [...names].filter(([path]) => directories.has(parent(path))).map(([path, inode]) => [path, contents.get(inode) ?? new Uint8Array()] as const);
    return { directories: [...directories], files: new Map(files), choice: choice.join(" ") };
  }
}

/** Subsets of `count` changes but the two extremes: all of them, or a seeded sample. */
function* subsets(count: number, random: SeededRandom, { exhaustiveUpTo, samples }: Effort): Generator<readonly boolean[]> {
  if (count <= exhaustiveUpTo) {
    for (let bits = 1; bits < 2 ** count - 1; bits++) yield Array.from({ length: count }, (_, position) => (bits & (1 << position)) !== 0);
    return;
  }
  for (let sample = 0; sample < samples; sample++) yield Array.from({ length: count }, () => random.fraction() < 0.6);
}

type Write = Extract<DataChange, { type: "write" }>;

function* cutsOf(change: Change, places: number | "every", random: SeededRandom): Generator<Cut> {
  if (change.type !== "write") return;
  const { length } = change.bytes;
  const count = places === "every" ? length + 1 : Math.min(places, length + 1);
  for (let place = 0; place < count; place++) {
    const at = places === "every" ? place : random.below(length + 1);
    const seed = random.below(2 ** 30);
    if (places === "every") for (const filler of FILLERS) yield { at, filler, seed };
    else yield { at, filler: FILLERS[random.below(FILLERS.length)] ?? "nothing", seed };
  }
}

/** `before` after a write that happened in part. */
function applyCut(before: Uint8Array, change: Write, { at, filler, seed }: Cut): Uint8Array {
  if (filler === "nothing") return applyDataChange(before, { ...change, bytes: change.bytes.slice(0, at) });
  const bytes = new Uint8Array(change.bytes.length);
  if (filler === "garbage") for (let index = 0; index < bytes.length; index++) bytes[index] = (Math.imul(index + seed, 2_654_435_761) >>> 13) & 0xff;
  bytes.set(change.bytes.subarray(0, at));
  return applyDataChange(before, { ...change, bytes });
}

function applyName(directories: Set<string>, names: Map<string, number>, change: NameChange): void {
  switch (change.type) {
    case "create":
      names.set(change.path, change.inode);
      return;
    case "makeDirectory":
      directories.add(change.path);
      return;
    case "rename":
      names.delete(change.from);
      names.set(change.to, change.inode);
      return;
    case "remove":
      // A removal that is applied without what came before it takes away only what it named.
      if (names.get(change.path) === change.inode) names.delete(change.path);
  }
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/** A disk that woke up in `state`. */
export function diskIn(state: CrashState): MemoryFileSystem {
  return new MemoryFileSystem({ directories: state.directories, files: state.files });
}
