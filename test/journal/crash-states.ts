import { applyDataChange, MemoryFileSystem, type Change, type DataChange } from "../support/memory-file-system.ts";
import type { SeededRandom } from "./journal-fixture.ts";

/**
 * Derives the states a crash may leave from what a simulated disk recorded: of the changes that were
 * not yet durable any subset may have happened; a write may be cut anywhere, its rest missing, zero or
 * garbage; names and data are independent.
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

  /** Up to `most` different states, the two extremes (all happened, nothing happened) first. */
  *states(random: SeededRandom, most: number): Generator<CrashState> {
    const pending = [...this.#pendingNames, ...this.#pendingData].sort((left, right) => left.index - right.index);
    const all = pending.map(() => true);
    yield this.#materialise(pending, all, undefined);
    if (pending.length === 0) return;
    yield this.#materialise(pending, all.map(() => false), undefined);
    for (let count = 2; count < most; count++) {
      const kept = all.map(() => random.fraction() < 0.6);
      yield this.#materialise(pending, kept, random.fraction() < 0.75 ? random : undefined);
    }
  }

  #becomesDurable({ index, change }: Pending<DataChange>, inode: number, upTo: number): boolean {
    if (change.inode !== inode || index >= upTo) return false;
    this.#durable.set(inode, applyDataChange(this.#durable.get(inode) ?? new Uint8Array(), change));
    return true;
  }

  /** `cuts`: kept writes are also cut, at a place and with a rest the random source chooses. */
  #materialise(pending: readonly Pending<Change>[], kept: readonly boolean[], cuts: SeededRandom | undefined): CrashState {
    const directories = new Set(this.#directories);
    const names = new Map(this.#names);
    const contents = new Map(this.#durable);
    const choice: string[] = [];
    for (const [position, { index, change }] of pending.entries()) {
      if (kept[position] !== true) continue;
      choice.push(`${index}:${change.type}`);
      if (change.type === "write" || change.type === "truncate") {
        const cut = change.type === "write" && cuts !== undefined ? cutWrite(change, cuts, choice) : change;
        contents.set(change.inode, applyDataChange(contents.get(change.inode) ?? new Uint8Array(), cut));
      } else if (change.type !== "dataSync" && change.type !== "dataSyncFailed" && change.type !== "syncDirectory") {
        applyName(directories, names, change);
      }
    }
    const files = [...names].filter(([path]) => directories.has(parent(path))).map(([path, inode]) => [path, contents.get(inode) ?? new Uint8Array()] as const);
    return { directories: [...directories], files: new Map(files), choice: choice.join(" ") };
  }
}

type Write = Extract<DataChange, { type: "write" }>;

function cutWrite(change: Write, random: SeededRandom, choice: string[]): Write {
  const at = random.below(change.bytes.length + 1);
  const rest = random.below(3);
  choice.push(`cut@${at}+${["nothing", "zeros", "garbage"][rest]}`);
  if (rest === 0) return { ...change, bytes: change.bytes.slice(0, at) };
  const bytes = rest === 1 ? new Uint8Array(change.bytes.length) : random.bytes(change.bytes.length);
  bytes.set(change.bytes.subarray(0, at));
  return { ...change, bytes };
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
