import { timestamp, troubleOf, type JournalContext, type Trouble } from "./context.ts";
import { FILE_MODE } from "./limits.ts";
import { endOfContent, type SegmentScan } from "./scan.ts";
import { TORN_MARK } from "./segment.ts";
import { ok, type Result } from "../ports/errors.ts";
import type { OpenFile } from "../ports/file-system.ts";

export type Cut = { readonly ok: true; readonly tornName?: string } | { readonly ok: false; readonly trouble: Trouble };

/** Two repairs in one millisecond need another name. */
const SAVE_TRIES = 10;

/**
 * Cuts a segment's tail off behind `keepBytes` and makes that durable, with the directory. With
 * `isTorn` the bytes are saved beside the segment first: they were never acknowledged, but somebody
 * may want to see them. Without damage this only drops empty space and syncs the directory: a segment
 * whose name a crash could take away must not be appended to.
 */
export async function cutTail(context: JournalContext, file: OpenFile, scan: SegmentScan, keepBytes: number, isTorn: boolean): Promise<Cut> {
  const saved = isTorn ? await save(context, file, scan, keepBytes) : ok(undefined);
  if (!saved.ok) return { ok: false, trouble: troubleOf(saved.error) };
  const done = await truncateDurably(context, file, keepBytes);
  if (!done.ok) return { ok: false, trouble: { ...troubleOf(done.error), state: "poisoned" } };
  if (saved.value === undefined) return { ok: true };
  context.log.warn("the journal's last write was torn and has been cut off", {
    segment: scan.name, line: scan.problem?.line, byte: keepBytes, savedAs: saved.value,
  });
  return { ok: true, tornName: saved.value };
}

async function truncateDurably(context: JournalContext, file: OpenFile, keepBytes: number): Promise<Result<void>> {
  const size = file.sizeBytes();
  if (!size.ok) return size;
  if (size.value > keepBytes) {
    const truncated = file.truncate(keepBytes);
    const synced = truncated.ok ? await file.dataSync() : truncated;
    if (!synced.ok) return synced;
  }
  return context.fileSystem.syncDirectory(context.directory);
}

async function save(context: JournalContext, file: OpenFile, scan: SegmentScan, keepBytes: number): Promise<Result<string>> {
  const { fileSystem, directory, clock } = context;
  const size = file.sizeBytes();
  const bytes = size.ok ? file.read(keepBytes, size.value - keepBytes) : size;
  if (!bytes.ok) return bytes;
  // Space that was reserved and never written is nobody's record.
  const torn = bytes.value.subarray(0, endOfContent(bytes.value, 0));
  const stamp = timestamp(clock).replaceAll(":", "");
  for (let attempt = 0; ; attempt++) {
    const name = `${scan.name}${TORN_MARK}${stamp}${attempt === 0 ? "" : `-${attempt}`}`;
    const opened = fileSystem.open(`${directory}/${name}`, "createNew", FILE_MODE);
    if (!opened.ok && opened.error.code === "file.exists" && attempt < SAVE_TRIES) continue;
    if (!opened.ok) return opened;
    const written = opened.value.write(torn);
    const synced = written.ok ? await opened.value.dataSync() : written;
    opened.value.close();
    const named = synced.ok ? await fileSystem.syncDirectory(directory) : synced;
    if (named.ok) return ok(name);
    fileSystem.remove(`${directory}/${name}`);
    return named;
  }
}
