import { createHash } from "node:crypto";
import type { Clock } from "../ports/clock.ts";
import { printableName } from "../document/document.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import type { DirectoryFiles, FileReading } from "./directory-files.ts";

/** Bytes in one file: some five thousand everyday guests. Parsing this much takes about a second, in steps of some milliseconds. */
export const FILE_BYTES_MAX = 1024 * 1024;

/** Files in the directory: one a guest for a very large host. */
export const FILES_MAX = 2_000;

/** Bytes in the whole set, some forty thousand everyday guests: bounds what is held in memory, and the fifth of a second in which the set is put together at once. */
export const SET_BYTES_MAX = 8 * 1024 * 1024;

/** A file must have been left alone this long before it is believed: writers that do not rename leave half-written files behind for a moment. */
export const SETTLE_MS = 200;

/** Looks at a directory that keeps changing before giving up: about five seconds. */
const ATTEMPTS_MAX = 25;

/** Files read at the same time. */
const READ_CONCURRENCY = 8;

/** One file of a scan, with the name messages give it. */
export interface ScannedFile {
  readonly path: string;
  /** SHA-256 of the bytes, or the fault's message: equal exactly when the file says the same. */
  readonly contentKey: string;
  readonly content: Result<Uint8Array>;
}

interface NamedReading extends FileReading, ScannedFile {}

/** The directory at one moment: no file of it changed between the first and the last read. */
export interface Scan {
  readonly files: readonly ScannedFile[];
  /** Changes exactly when a load would give something else. */
  readonly fingerprint: string;
}

/** Reads a directory again and again. */
export class DirectoryScanner {
  readonly #path: string;
  readonly #files: DirectoryFiles;
  readonly #clock: Clock;
  /** Wall clock less monotonic clock, as it was at the last scan. */
  #clockOffsetMs: number | undefined;

  constructor(path: string, files: DirectoryFiles, clock: Clock) {
    this.#path = path;
    this.#files = files;
    this.#clock = clock;
  }

  /**
   * Reads every desired-state file of the directory as one consistent set. A set that is being exchanged
   * while it is read, or was written to a moment ago, is read again until it rests; one that never does
   * is `desired.unreadable`.
   */
  async scan(): Promise<Result<Scan>> {
    const isTimeTrusted = !this.#hasClockJumped();
    const rest = new RestObserver(this.#clock, isTimeTrusted);
    let restless = this.#path;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const names = await listNames(this.#path, this.#files);
      if (!names.ok) return names;
      const readings = await readAll(this.#path, names.value, this.#files);
      const waiting = rest.observe(readings);
      const changed = waiting?.path ?? (await findChange(this.#path, names.value, readings, this.#files));
      if (changed === undefined) return judgeSize(this.#path, names.value, readings);
      restless = changed;
      await this.#clock.sleep(waiting?.waitMs ?? SETTLE_MS);
    }
    return fault("desired.unreadable", `${printableName(restless)}: expected this to rest for ${SETTLE_MS} ms, found it changing for ${(ATTEMPTS_MAX * SETTLE_MS) / 1000} s; find out what keeps writing here, and have it write elsewhere and rename when it is done`);
  }

  /** After a jump, the age of a file says nothing about how long it has rested. */
  #hasClockJumped(): boolean {
    const offsetMs = this.#clock.now() - this.#clock.monotonic();
    const jumpMs = this.#clockOffsetMs === undefined ? 0 : Math.abs(offsetMs - this.#clockOffsetMs);
    this.#clockOffsetMs = offsetMs;
    return jumpMs >= SETTLE_MS;
  }
}

/** Judges whether files rest: by their age where that can be believed, else by being the same for as long. */
class RestObserver {
  readonly #clock: Clock;
  readonly #isTimeTrusted: boolean;
  #seen = new Map<string, { readonly contentKey: string; readonly sinceMs: number }>();

  constructor(clock: Clock, isTimeTrusted: boolean) {
    this.#clock = clock;
    this.#isTimeTrusted = isTimeTrusted;
  }

  /** The file that must be waited for longest, if any. */
  observe(readings: readonly NamedReading[]): { readonly path: string; readonly waitMs: number } | undefined {
    const seen = new Map<string, { readonly contentKey: string; readonly sinceMs: number }>();
    let longest: { readonly path: string; readonly waitMs: number } | undefined;
    for (const reading of readings) {
      const { path, contentKey } = reading;
      const before = this.#seen.get(path);
      const sinceMs = before?.contentKey === contentKey ? before.sinceMs : this.#clock.monotonic();
      seen.set(path, { contentKey, sinceMs });
      const waitMs = SETTLE_MS - Math.max(this.#ageMs(reading), this.#clock.monotonic() - sinceMs);
      if (waitMs > (longest?.waitMs ?? 0)) longest = { path, waitMs };
    }
    this.#seen = seen;
    return longest;
  }

  /** How long ago a file was written to. Times in the future say nothing: the clock was wrong then or is now. */
  #ageMs({ modifiedAtMs }: FileReading): number {
    if (modifiedAtMs === undefined) return SETTLE_MS;
    const ageMs = this.#clock.now() - modifiedAtMs;
    return this.#isTimeTrusted && ageMs >= 0 ? ageMs : 0;
  }
}

/**
 * "*.yaml", "*.yml", "*.json"; not what begins with a dot (hidden, or `..data` of a mounted set), and not
 * the schema that an editor wants beside them (`agent schema`). Backups such as `a.yaml~` end otherwise.
 */
export function isDesiredFileName(name: string): boolean {
  return !name.startsWith(".") && /\.(?:yaml|yml|json)$/.test(name) && !name.endsWith(".schema.json");
}

async function listNames(path: string, files: DirectoryFiles): Promise<Result<readonly string[]>> {
  const listed = await files.list(path);
  if (!listed.ok) return fault("desired.unreadable", `${printableName(path)}: ${listed.error.message}`, listed.error.cause);
  const names = listed.value.filter(isDesiredFileName).sort();
  if (names.length > FILES_MAX) return fault("desired.too_large", `${printableName(path)}: expected at most ${FILES_MAX} files, found ${names.length}; put several guests into one file`);
  return ok(names);
}

async function readAll(path: string, names: readonly string[], files: DirectoryFiles): Promise<readonly NamedReading[]> {
  const readings: NamedReading[] = [];
  let budgetBytes = SET_BYTES_MAX;
  for (let start = 0; start < names.length; start += READ_CONCURRENCY) {
    const batch = names.slice(start, start + READ_CONCURRENCY);
    const read = await Promise.all(batch.map((name) => readNamed(joinPath(path, name), files)));
    for (const reading of read) budgetBytes -= reading.content.ok ? reading.content.value.byteLength : 0;
    readings.push(...read);
    if (budgetBytes < 0) break;
  }
  return readings;
}

/** A reading with the name and content that messages and comparisons need. Hashed here, between two reads: all at once would take long. */
async function readNamed(path: string, files: DirectoryFiles): Promise<NamedReading> {
  const reading = await files.read(path, FILE_BYTES_MAX);
  const { content } = reading;
  return { ...reading, path, contentKey: content.ok ? createHash("sha256").update(content.value).digest("hex") : content.error.message };
}

/** What is not as it was read: a file, or the directory when another set of names is in it now. */
async function findChange(path: string, names: readonly string[], readings: readonly NamedReading[], files: DirectoryFiles): Promise<string | undefined> {
  const again = await listNames(path, files);
  if (!again.ok || again.value.join("/") !== names.join("/")) return path;
  const looks = await Promise.all(readings.map((reading) => files.look(reading.path)));
  return readings.find((reading, index) => looks[index]?.stamp !== reading.stamp)?.path;
}

function judgeSize(path: string, names: readonly string[], readings: readonly NamedReading[]): Result<Scan> {
  if (readings.length < names.length || totalBytes(readings) > SET_BYTES_MAX) {
    return fault("desired.too_large", `${printableName(path)}: expected at most ${SET_BYTES_MAX} bytes in all files together, found more; declare less, or fewer guests a host`);
  }
  const hash = createHash("sha256");
  for (const file of readings) hash.update(`${file.path}\0${file.contentKey}\0`);
  return ok({ files: readings, fingerprint: hash.digest("hex") });
}

function totalBytes(readings: readonly FileReading[]): number {
  return readings.reduce((sum, { content }) => sum + (content.ok ? content.value.byteLength : 0), 0);
}

function joinPath(directory: string, name: string): string {
  return directory.endsWith("/") ? `${directory}${name}` : `${directory}/${name}`;
}
