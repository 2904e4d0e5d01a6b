import { insecurityOf, parentOf, timestamp, troubleOf, type JournalContext, type Trouble } from "./context.ts";
import { NO_LINK } from "./frame.ts";
import { FILE_MODE } from "./limits.ts";
import { LiveTable } from "./live-table.ts";
import type { EpochReason } from "./record.ts";
import { cutTail } from "./repair.ts";
import { formatProblem, scanSegment, type ScannedFrame, type SegmentScan } from "./scan.ts";
import { segmentNames, TEMPORARY_SUFFIX, TORN_MARK, type SegmentHeader } from "./segment.ts";
import { SegmentWriter } from "./segment-writer.ts";
import { startSegment } from "./start-segment.ts";
import type { JournalHead } from "./types.ts";
import type { ErrorCode, Fault } from "../ports/errors.ts";
import type { OpenFile } from "../ports/file-system.ts";

/**
 * Reads a journal directory and makes it writable: what opening and reopening share. Only the last
 * segment is read: it begins with the whole live state.
 */
export interface Loaded {
  readonly table: LiveTable;
  readonly head: JournalHead;
  /** Present when the journal can be written. */
  readonly writer?: SegmentWriter;
  readonly trouble?: Trouble;
  /** Torn tails repaired: 0 or 1. */
  readonly repaired: number;
  /** When the newest record was made, RFC 3339 UTC; absent where an epoch says already that something may be missing. */
  readonly newestAt?: string;
}

export const NO_HEAD: JournalHead = { segment: "", sequence: 0, hash: NO_LINK };

/**
 * Loads for writing; the writer lock is held. `floor` is the last record this process has
 * acknowledged, when it reopens: the disk must still hold it, and whatever lies behind it was
 * reported as failed and is cut off.
 */
export async function loadForWriting(context: JournalContext, floor?: JournalHead): Promise<Loaded> {
  const { fileSystem, directory } = context;
  const listed = fileSystem.list(directory);
  if (!listed.ok) return empty(context, blindness(listed.error, floor) ?? troubleOf(listed.error));
  for (const name of listed.value) {
    if (name.endsWith(TEMPORARY_SUFFIX)) fileSystem.remove(`${directory}/${name}`);
  }
  const last = segmentNames(listed.value).at(-1);
  if (last === undefined) return begin(context, floor);
  const opened = await openLast(context, last);
  if ("state" in opened) return loadForReading(context, opened, floor);
  const loaded = await settle(context, opened.file, opened.scan, listed.value, floor);
  if (loaded.writer === undefined || loaded.writer.name !== last) opened.file.close();
  return loaded;
}

/** Loads what can be read, for a journal that cannot be written now: a pause must still count. */
export function loadForReading(context: JournalContext, trouble: Trouble, floor?: JournalHead): Loaded {
  const listed = context.fileSystem.list(context.directory);
  const last = listed.ok ? segmentNames(listed.value).at(-1) : undefined;
  const bytes = last === undefined ? undefined : context.fileSystem.readFile(`${context.directory}/${last}`);
  const unread = listed.ok ? bytes : listed;
  if (unread?.ok === false) return empty(context, blindness(unread.error, floor) ?? trouble);
  if (last === undefined || bytes?.ok !== true) return empty(context, trouble);
  const scan = scanSegment(last, bytes.value);
  return { ...empty(context, scan.outcome === "corrupt" ? corruption(scan) : trouble), table: tableOf(context, scan.frames), head: headOf(scan) };
}

/** A file system that is read-only can be read, and says so of writes. */
const SAYS_NOTHING_IS_THERE: ReadonlySet<ErrorCode> = new Set(["file.not_found", "file.not_directory", "file.read_only"]);

/**
 * A journal that is there and cannot be read may hold pauses and acts under way: nothing new starts before
 * they are known. Not for one that this process has read before, nor for one that is not there.
 */
function blindness(error: Fault, floor: JournalHead | undefined): Trouble | undefined {
  if (floor !== undefined || SAYS_NOTHING_IS_THERE.has(error.code)) return undefined;
  return { state: "poisoned", message: `the journal is there and cannot be read: ${error.message}. What is paused or under way is not known, so nothing new starts` };
}

function empty(context: JournalContext, trouble: Trouble): Loaded {
  return { table: new LiveTable(context.limits), head: NO_HEAD, trouble, repaired: 0 };
}

function headOf(scan: SegmentScan): JournalHead {
  return { segment: scan.name, sequence: scan.lastSequence, hash: scan.lastHash };
}

function tableOf(context: JournalContext, frames: readonly ScannedFrame[]): LiveTable {
  const table = new LiveTable(context.limits);
  const refused = frames.filter((frame) => !table.apply(frame.record));
  if (refused.length > 0) context.log.warn("journal records that contradict what came before were skipped", { sequences: refused.map((frame) => frame.sequence) });
  return table;
}

/** No segment yet: this is a new journal, unless this process has already written one here. */
async function begin(context: JournalContext, floor: JournalHead | undefined): Promise<Loaded> {
  if (floor !== undefined) return empty(context, lost(context, floor));
  // The journal's name in the state directory, and that one's name in its own parent: both may be new.
  const stateDirectory = parentOf(context.directory);
  const named = await context.fileSystem.syncDirectory(stateDirectory);
  if (!named.ok) return empty(context, troubleOf(named.error));
  const above = await context.fileSystem.syncDirectory(parentOf(stateDirectory));
  if (!above.ok && above.error.code !== "file.not_found") return empty(context, troubleOf(above.error));
  const table = new LiveTable(context.limits);
  table.apply({ kind: "epoch", at: timestamp(context.clock), reason: "created", detail: "no journal was found here" });
  return renew(context, table, NO_HEAD, 0);
}

function lost(context: JournalContext, floor: JournalHead): Trouble {
  const message = `${context.directory} no longer holds record ${floor.sequence} (${floor.hash}), which had been synced: restore the directory, or stop the agent, move it away and start anew`;
  return { state: "corrupt", message };
}

/** The last segment as the disk, not the cache, holds it. */
async function openLast(context: JournalContext, name: string): Promise<{ readonly file: OpenFile; readonly scan: SegmentScan } | Trouble> {
  const { fileSystem, directory } = context;
  const path = `${directory}/${name}`;
  const status = fileSystem.status(path);
  if (!status.ok) return troubleOf(status.error);
  const insecurity = insecurityOf(fileSystem, path, status.value, FILE_MODE);
  if (insecurity !== undefined) return { state: "insecure", message: insecurity };
  const opened = fileSystem.open(path, "append", FILE_MODE);
  if (!opened.ok) return troubleOf(opened.error);
  const file = opened.value;
  // What a killed process wrote and never synced is made durable before anybody relies on it.
  const synced = await file.dataSync();
  file.dropCache();
  const size = file.sizeBytes();
  const bytes = size.ok ? file.read(0, size.value) : size;
  if (synced.ok && bytes.ok) return { file, scan: scanSegment(name, bytes.value) };
  file.close();
  if (!synced.ok) return { state: "poisoned", message: `the disk failed to sync ${path}: ${synced.error.message}` };
  return bytes.ok ? { state: "unwritable", message: `cannot read ${path}` } : troubleOf(bytes.error);
}

function corruption(scan: SegmentScan): Trouble {
  const where = scan.problem === undefined ? scan.name : formatProblem(scan.problem);
  return { state: "corrupt", message: `the journal is corrupt: ${where}. Nothing is changed on any guest until a person has looked: agent journal verify` };
}

async function settle(context: JournalContext, file: OpenFile, scan: SegmentScan, names: readonly string[], floor: JournalHead | undefined): Promise<Loaded> {
  const { header } = scan;
  if (scan.outcome === "corrupt" || header === undefined) {
    return { ...empty(context, corruption(scan)), table: tableOf(context, [...scan.frames, ...scan.stray]), head: headOf(scan) };
  }
  const kept = keptFrames(scan, header, floor);
  if (kept === undefined) return { ...empty(context, lost(context, floor ?? NO_HEAD)), table: tableOf(context, scan.frames), head: headOf(scan) };
  const table = tableOf(context, kept.frames);
  const isTorn = scan.outcome === "torn" && floor === undefined;
  const cut = await cutTail(context, file, scan, kept.sizeBytes, isTorn);
  const head = { segment: scan.name, sequence: kept.sequence, hash: kept.hash };
  if (!cut.ok) return { table, head, trouble: cut.trouble, repaired: 0 };
  const repaired = isTorn ? 1 : 0;
  const epochs = epochsFor(context, header, table, [...names, ...(cut.tornName === undefined ? [] : [cut.tornName])]);
  for (const [reason, detail] of epochs) table.apply({ kind: "epoch", at: timestamp(context.clock), reason, detail });
  if (epochs.length > 0 || floor !== undefined) return renew(context, table, head, repaired);
  const newestAt = table.lastAt;
  const writer = SegmentWriter.adopt(scan.name, file, header.salt, { ...head, sizeBytes: kept.sizeBytes }, checkpointBytes(scan));
  return { table, head, writer, repaired, ...(newestAt === undefined ? {} : { newestAt }) };
}

/** Frames up to the floor; undefined when the floor is not among them. */
function keptFrames(scan: SegmentScan, header: SegmentHeader, floor: JournalHead | undefined) {
  const whole = { frames: scan.frames, sequence: scan.lastSequence, hash: scan.lastHash, sizeBytes: scan.goodBytes };
  // A segment that was just begun behind the floor holds the state at the floor and nothing else.
  const beginsAtFloor = floor !== undefined && header.previousHead === floor.hash && header.firstSequence === floor.sequence + 1;
  if (floor === undefined || beginsAtFloor) return whole;
  const index = scan.frames.findIndex((frame) => frame.hash === floor.hash);
  if (index === -1) return undefined;
  const sizeBytes = scan.frames[index + 1]?.offset ?? scan.goodBytes;
  return { frames: scan.frames.slice(0, index + 1), sequence: floor.sequence, hash: floor.hash, sizeBytes };
}

function checkpointBytes(scan: SegmentScan): number {
  return scan.frames.find((frame) => !frame.isSnapshot)?.offset ?? scan.goodBytes;
}

/** What must be written down before the journal goes on: it was repaired, or it is not where it was. */
function epochsFor(context: JournalContext, header: SegmentHeader, table: LiveTable, names: readonly string[]): (readonly [EpochReason, string])[] {
  const epochs: (readonly [EpochReason, string])[] = [];
  // Also a repair whose agent died before it could write it down.
  const newestTorn = names.filter((name) => name.includes(TORN_MARK)).sort().at(-1);
  if (newestTorn !== undefined && newestTorn > (table.epoch("repaired")?.detail ?? "")) epochs.push(["repaired", newestTorn]);
  const status = context.fileSystem.status(context.directory);
  const differences = [
    header.machineId === context.machineId ? "" : `machine ${header.machineId}, now ${context.machineId}`,
    header.node === context.node ? "" : `node ${header.node}, now ${context.node}`,
    !status.ok || header.directoryInode === status.value.inode ? "" : `directory inode ${header.directoryInode}, now ${status.value.inode}`,
  ].filter((difference) => difference !== "");
  if (differences.length > 0) epochs.push(["moved", `written on ${differences.join("; ")}`]);
  return epochs;
}

/** Goes on in a new segment: a new salt, so that nothing of the old file can ever pass in it. */
async function renew(context: JournalContext, table: LiveTable, head: JournalHead, repaired: number): Promise<Loaded> {
  const created = await startSegment(context, table, head.sequence, head.hash);
  if (created.ok) return { table, head: created.writer.head, writer: created.writer, repaired };
  const trouble: Trouble = created.isNamed
    ? { state: "poisoned", message: `a new journal segment could not be made durable: ${created.error.message}` }
    : troubleOf(created.error);
  return { table, head, trouble, repaired };
}
