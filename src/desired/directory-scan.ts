import { createHash } from "node:crypto";
import type { Clock } from "../ports/clock.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import type { DirectoryFiles, FileReading } from "./directory-files.ts";

/** Bytes in one file: some eight thousand everyday guests. Parsing this much takes about a second (nonsense a few), and nothing else runs meanwhile. */
export const FILE_BYTES_MAX = 1024 * 1024;

/** Files in the directory: one a guest for a very large host. */
export const FILES_MAX = 2_000;

/** Bytes in the whole set: bounds what is held in memory while it is read. */
export const SET_BYTES_MAX = 32 * 1024 * 1024;

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

/** The directory at one moment: no file of it changed between the first and the last read. */
export interface Scan {
  readonly files: readonly ScannedFile[];
  /** Changes exactly when a load would give something else. */
  readonly fingerprint: string;
}

/**
 * Reads every desired-state file of a directory as one consistent set. A set that is being exchanged
 * while it is read, or was written to a moment ago, is read again until it rests; one that never does
 * is `desired.unreadable`.
 */
export async function scanDirectory(path: string, files: DirectoryFiles, clock: Clock): Promise<Result<Scan>> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const names = await listNames(path, files);
    if (!names.ok) return names;
    const readings = await readAll(path, names.value, files);
    const waitMs = settlingMs(readings, clock.now());
    if (waitMs === 0 && (await isUnchanged(path, names.value, readings, files))) return judgeSize(path, names.value, readings);
    await clock.sleep(waitMs === 0 ? SETTLE_MS : waitMs);
  }
  return fault("desired.unreadable", `${path}: expected files that rest, found them changing for ${(ATTEMPTS_MAX * SETTLE_MS) / 1000} s; find out what keeps writing here`);
}

/** "*.yaml", "*.yml", "*.json"; not what begins with a dot (hidden, or `..data` of a mounted set). Backups such as `a.yaml~` end otherwise. */
export function isDesiredFileName(name: string): boolean {
  return !name.startsWith(".") && /\.(?:yaml|yml|json)$/.test(name);
}

async function listNames(path: string, files: DirectoryFiles): Promise<Result<readonly string[]>> {
  const listed = await files.list(path);
  if (!listed.ok) return fault("desired.unreadable", `${path}: ${listed.error.message}`, listed.error.cause);
  const names = listed.value.filter(isDesiredFileName).sort();
  if (names.length > FILES_MAX) return fault("desired.too_large", `${path}: expected at most ${FILES_MAX} files, found ${names.length}; put several guests into one file`);
  return ok(names);
}

async function readAll(path: string, names: readonly string[], files: DirectoryFiles): Promise<readonly FileReading[]> {
  const readings: FileReading[] = [];
  let budgetBytes = SET_BYTES_MAX;
  for (let start = 0; start < names.length; start += READ_CONCURRENCY) {
    const batch = names.slice(start, start + READ_CONCURRENCY);
    const read = await Promise.all(batch.map((name) => files.read(joinPath(path, name), FILE_BYTES_MAX)));
    for (const reading of read) budgetBytes -= reading.content.ok ? reading.content.value.byteLength : 0;
    readings.push(...read);
    if (budgetBytes < 0) break;
  }
  return readings;
}

/** Milliseconds until the file written to last counts as settled. Times in the future say nothing: the clock was wrong then or is now. */
function settlingMs(readings: readonly FileReading[], nowMs: number): number {
  return readings.reduce((longest, { modifiedAtMs }) => {
    const restedMs = modifiedAtMs === undefined ? SETTLE_MS : nowMs - modifiedAtMs;
    return restedMs < 0 ? longest : Math.max(longest, SETTLE_MS - restedMs);
  }, 0);
}

async function isUnchanged(path: string, names: readonly string[], readings: readonly FileReading[], files: DirectoryFiles): Promise<boolean> {
  const again = await listNames(path, files);
  if (!again.ok || again.value.join("/") !== names.join("/")) return false;
  const looks = await Promise.all(readings.map((_, index) => files.look(joinPath(path, names[index] ?? ""))));
  return looks.every((look, index) => look.stamp === readings[index]?.stamp);
}

function judgeSize(path: string, names: readonly string[], readings: readonly FileReading[]): Result<Scan> {
  if (readings.length < names.length || totalBytes(readings) > SET_BYTES_MAX) {
    return fault("desired.too_large", `${path}: expected at most ${SET_BYTES_MAX} bytes in all files together, found more; declare less, or fewer guests a host`);
  }
  const files = readings.map((reading, index) => scannedFile(joinPath(path, names[index] ?? ""), reading));
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file.path}\0${file.contentKey}\0`);
  return ok({ files, fingerprint: hash.digest("hex") });
}

function totalBytes(readings: readonly FileReading[]): number {
  return readings.reduce((sum, { content }) => sum + (content.ok ? content.value.byteLength : 0), 0);
}

function scannedFile(path: string, { content }: FileReading): ScannedFile {
  const contentKey = content.ok ? createHash("sha256").update(content.value).digest("hex") : content.error.message;
  return { path, contentKey, content };
}

function joinPath(directory: string, name: string): string {
  return directory.endsWith("/") ? `${directory}${name}` : `${directory}/${name}`;
}
