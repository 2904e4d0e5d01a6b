import { timestamp, type JournalContext } from "./context.ts";
import type { LiveTable } from "./live-table.ts";
import { encodeRecord, type JournalRecord } from "./record.ts";
import { isSegmentName, segmentNames, TORN_MARK } from "./segment.ts";
import { SegmentWriter, type Creation } from "./segment-writer.ts";

const SALT_BYTES = 16;

/**
 * Begins a new segment behind `sequence`/`hash`: header, checkpoint, and the whole live state. What
 * came before is then needed for audit only.
 */
export function startSegment(context: JournalContext, table: LiveTable, sequence: number, hash: string): Promise<Creation> {
  const { fileSystem, directory, clock } = context;
  const createdAt = timestamp(clock);
  table.forgetExpired(clock.now());
  const live = table.snapshot(createdAt, clock.now());
  const checkpoint: JournalRecord = { kind: "checkpoint", at: createdAt, records: live.length };
  const status = fileSystem.status(directory);
  const header = {
    node: context.node,
    machineId: context.machineId,
    directoryInode: status.ok ? status.value.inode : 0,
    salt: Buffer.from(context.random.bytes(SALT_BYTES)).toString("hex"),
    firstSequence: sequence + 1,
    previousHead: hash,
    createdAt,
    version: context.version,
  };
  return SegmentWriter.create(fileSystem, directory, header, [checkpoint, ...live].map(encodeRecord));
}

/**
 * Removes segments older than `current`, oldest first, while they are more than `retainBytes` in total
 * or older than `retainMs`; and saved torn bytes of that age. The directory is synced after every
 * removal: were two of them reordered by a crash, the chain would have a hole. A file that cannot be
 * removed stays, with all that is newer; it is tried again at the next rotation.
 */
export async function removeOldSegments(context: JournalContext, current: string): Promise<void> {
  const listed = context.fileSystem.list(context.directory);
  if (!listed.ok) return context.log.warn("cannot list the journal's old segments", { error: listed.error.message });
  const segments = statusesOf(context, segmentNames(listed.value).filter((name) => name < current));
  let totalBytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  for (const { name, sizeBytes, isOld } of segments) {
    if (!isOld && totalBytes <= context.limits.retainBytes) break;
    if (!(await removeDurably(context, name))) break;
    totalBytes -= sizeBytes;
  }
  for (const { name, isOld } of statusesOf(context, listed.value.filter(isTornName))) {
    if (isOld) await removeDurably(context, name);
  }
}

function isTornName(name: string): boolean {
  const mark = name.indexOf(TORN_MARK);
  return mark !== -1 && isSegmentName(name.slice(0, mark));
}

function statusesOf({ fileSystem, directory, clock, limits }: JournalContext, names: readonly string[]) {
  return names.flatMap((name) => {
    const status = fileSystem.status(`${directory}/${name}`);
    return status.ok ? [{ name, sizeBytes: status.value.sizeBytes, isOld: clock.now() - status.value.modifiedAtMs > limits.retainMs }] : [];
  });
}

async function removeDurably({ fileSystem, directory, log }: JournalContext, name: string): Promise<boolean> {
  const removed = fileSystem.remove(`${directory}/${name}`);
  const done = removed.ok ? await fileSystem.syncDirectory(directory) : removed;
  if (!done.ok) log.warn("an old journal file could not be removed", { name, error: done.error.message });
  return done.ok;
}
