import { endOfContent } from "../../src/journal/scan.ts";
import { openJournal, type JournalOptions } from "../../src/journal/journal.ts";
import type { Journal, NewOperation } from "../../src/journal/types.ts";
import type { Random } from "../../src/ports/random.ts";
import type { Log } from "../../src/ports/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import type { MemoryFileSystem } from "../support/memory-file-system.ts";

export const DIRECTORY = "/state/journal";

/** A small journal: rotation after a few records, so that tests see it. */
const SMALL_LIMITS = { segmentBytes: 6_000, reserveBytes: 64, retainBytes: 20_000 };

/** Deterministic (mulberry32); the seed is what a failing test prints. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(count: number): number {
    return Math.floor(this.fraction() * count);
  }

  bytes(sizeBytes: number): Uint8Array {
    return Uint8Array.from({ length: sizeBytes }, () => this.below(256));
  }
}

/** A log that keeps its lines. */
export function recordingLog(): Log & { readonly lines: { level: string; message: string }[] } {
  const lines: { level: string; message: string }[] = [];
  const keep = (level: string) => (message: string) => void lines.push({ level, message });
  return { lines, debug: keep("debug"), info: keep("info"), warn: keep("warn"), error: keep("error") };
}

export function journalOptions(fileSystem: MemoryFileSystem, changes: Partial<JournalOptions> = {}): JournalOptions {
  return {
    directory: DIRECTORY, node: "pve1", machineId: "machine-1", version: "0.1.0",
    fileSystem, clock: new FakeClock(), random: new SeededRandom(1), log: recordingLog(), limits: SMALL_LIMITS,
    ...changes,
  };
}

/** Opens, and fails the test when another process holds the lock. */
export async function openOrThrow(fileSystem: MemoryFileSystem, changes: Partial<JournalOptions> = {}): Promise<Journal> {
  const opened = await openJournal(journalOptions(fileSystem, changes));
  if (!opened.ok) throw new Error(opened.error.message);
  return opened.value;
}

/** The value of a result that must be a success. */
export function valueOf<T>(result: { ok: true; value: T } | { ok: false; error: { code: string; message: string } }): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

/** The error code of a result, or "ok". */
export function codeOf(result: { ok: true } | { ok: false; error: { code: string } }): string {
  return result.ok ? "ok" : result.error.code;
}

export function startOf(vmid: number, more: Partial<NewOperation> = {}): NewOperation {
  return { guest: { kind: "qemu", vmid, identity: { smbiosUuid: `uuid-${vmid}` } }, action: "start", params: {}, provenance: "desired", ...more };
}

/** A segment's bytes without the empty space that may lie behind its last frame. */
export function contentOf(bytes: Uint8Array = new Uint8Array()): Uint8Array {
  return bytes.subarray(0, Math.min(bytes.length, endOfContent(bytes, 0) + 1));
}

/** What a journal says, as one comparable text: facts of the namespace "w" and the state of every operation. */
export function digestOf(journal: Journal): string {
  const operations = [...journal.recentOperations(), ...journal.openOperations()].map(({ id, state, upid }) => `${id}=${state}${upid ?? ""}`);
  const facts = [...journal.facts("w")].map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return [...operations.sort(), ...facts.sort()].join(" ");
}
