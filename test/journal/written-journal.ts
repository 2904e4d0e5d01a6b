import { verifyJournal, type Verification } from "../../src/journal/verify.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { contentOf, DIRECTORY, openOrThrow, valueOf } from "./journal-fixture.ts";
import type { JournalOptions } from "../../src/journal/journal.ts";

/** A journal of three segments, and what is done to its files. */

export const LIMITS = { segmentBytes: 1_500, reserveBytes: 16, retainBytes: 1_000_000 };

export interface Written {
  readonly fileSystem: MemoryFileSystem;
  /** Segment names, oldest first. */
  readonly names: readonly string[];
  readonly heads: readonly string[];
}

/** Three segments; heads after every append. */
export async function written(options: Partial<JournalOptions> = {}): Promise<Written> {
  const fileSystem = new MemoryFileSystem();
  const journal = await openOrThrow(fileSystem, { limits: LIMITS, ...options });
  const heads: string[] = [];
  while (valueOf(fileSystem.list(DIRECTORY)).filter((name) => name.endsWith(".journal")).length < 3 || heads.length % 4 !== 0) {
    valueOf(await journal.putFact("w", `k${heads.length % 3}`, heads.length));
    heads.push(journal.head().hash);
  }
  valueOf(await journal.putFact("w", "one", 1));
  valueOf(await journal.putFact("w", "two", 2));
  await journal.close();
  const names = valueOf(fileSystem.list(DIRECTORY)).filter((name) => name.endsWith(".journal")).sort();
  return { fileSystem, names, heads };
}

export function verify(fileSystem: MemoryFileSystem, from?: string): Verification {
  return valueOf(verifyJournal(fileSystem, DIRECTORY, from === undefined ? {} : { from }));
}

/** Replaces the lines of a segment (its LFs included). */
export function edit(fileSystem: MemoryFileSystem, name: string, change: (lines: string[]) => string[]): void {
  const path = `${DIRECTORY}/${name}`;
  const lines = Buffer.from(contentOf(valueOf(fileSystem.readFile(path)))).toString("utf8").split("\n").slice(0, -1);
  fileSystem.overwrite(path, Buffer.from(change(lines).map((line) => `${line}\n`).join(""), "utf8"));
}

/** `text` with one hex digit changed. */
export const flip = (text: string, at: number): string => text.slice(0, at) + (text[at] === "0" ? "1" : "0") + text.slice(at + 1);

