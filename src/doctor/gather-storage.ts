import type { LoadedConfig } from "../config/load.ts";
import { verifyJournal } from "../journal/verify.ts";
import { scanSegment } from "../journal/scan.ts";
import { segmentNames } from "../journal/segment.ts";
import type { Clock } from "../ports/clock.ts";
import { ok, type Result } from "../ports/errors.ts";
import type { FileSystem, OpenFile } from "../ports/file-system.ts";
import type { DiskFacts, FileFacts, FilePurpose, JournalFacts, SyncFacts } from "./facts.ts";

/** Looks at the files the agent trusts or keeps; those the config does not name are left out. */
export function gatherFiles(files: FileSystem, { config, file }: LoadedConfig): readonly FileFacts[] {
  const journal = `${config.stateDir}/journal`;
  const listed = files.list(journal);
  const newest = listed.ok ? segmentNames(listed.value).at(-1) : undefined;
  const { tokenFile } = config.proxmox;
  const paths: readonly (readonly [FilePurpose, string | undefined])[] = [
    ["config", file],
    ["token", tokenFile],
    ["tokenDirectory", directoryOf(tokenFile)],
    ["stateDirectory", config.stateDir],
    ["journalDirectory", journal],
    ["journalSegment", newest === undefined ? undefined : `${journal}/${newest}`],
    ["socket", config.socket],
    ["desiredDirectory", config.desired.source === "directory" ? config.desired.path : undefined],
  ];
  return paths.flatMap(([purpose, path]) => (path === undefined ? [] : [{ purpose, path, status: files.status(path) }]));
}

function directoryOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

/** Bytes of one probe write: a record of the journal is about as large. */
const PROBE_WRITE_BYTES = 512;
/** Enough to tell a slow disk from a fast one, short enough not to be noticed. */
const PROBE_TIME_MS = 1_000;
const PROBE_SYNCS_MAX = 500;
/** A sync that takes longer is a disk that hangs. */
const SYNC_TIMEOUT_MS = 10_000;

/** What the probe needs of the world. */
interface ProbeOptions {
  readonly clock: Clock;
  readonly files: FileSystem;
  readonly processId: number;
}

/** Free space, and how fast syncs are, measured with a file that is removed again. */
export async function gatherDisk(options: ProbeOptions, stateDir: string): Promise<DiskFacts> {
  const { files } = options;
  const status = files.status(stateDir);
  if (!status.ok && status.error.code === "file.not_found") return { isPresent: false, freeBytes: status, sync: status };
  return { isPresent: true, freeBytes: files.freeBytes(stateDir), sync: status.ok ? await probe(options, `${stateDir}/.doctor-${options.processId}`) : status };
}

async function probe(options: ProbeOptions, path: string): Promise<Result<SyncFacts>> {
  const opened = options.files.open(path, "createNew");
  if (!opened.ok) return opened;
  try {
    return await measure(options.clock, opened.value, path);
  } finally {
    opened.value.close();
    options.files.remove(path);
  }
}

async function measure(clock: Clock, file: OpenFile, path: string): Promise<Result<SyncFacts>> {
  const bytes = new Uint8Array(PROBE_WRITE_BYTES);
  const startedMs = clock.monotonic();
  let slowestMs = 0;
  let syncs = 0;
  while (syncs < PROBE_SYNCS_MAX && clock.monotonic() - startedMs < PROBE_TIME_MS) {
    const beforeMs = clock.monotonic();
    const written = file.write(bytes);
    if (!written.ok) return written;
    const synced = await syncWithin(clock, file, path);
    if (!synced.ok) return synced;
    slowestMs = Math.max(slowestMs, clock.monotonic() - beforeMs);
    syncs += 1;
  }
  return ok({ syncs, seconds: Math.max(clock.monotonic() - startedMs, Number.MIN_VALUE) / 1_000, slowestMs });
}

async function syncWithin(clock: Clock, file: OpenFile, path: string): Promise<Result<void>> {
  const done = new AbortController();
  const timeout = clock.sleep(SYNC_TIMEOUT_MS, done.signal).then((): Result<void> => ({ ok: false, error: { code: "doctor.not_gathered", message: `a sync of ${path} took longer than ${SYNC_TIMEOUT_MS / 1000} s` } }));
  const first = await Promise.race([file.dataSync(), timeout]);
  done.abort();
  return first;
}

/** Verifies the journal, and reads when its newest record was written. No lock is taken. */
export function gatherJournal(files: FileSystem, directory: string): JournalFacts {
  const verified = verifyJournal(files, directory);
  const segment = verified.ok ? verified.value.head.segment : "";
  const bytes = segment === "" ? undefined : files.readFile(`${directory}/${segment}`);
  const frames = bytes?.ok === true ? scanSegment(segment, bytes.value).frames : [];
  const times = frames.map(({ record }) => Date.parse(record.kind === "operation" ? record.operation.changedAt : record.at)).filter((time) => !Number.isNaN(time));
  return { directory, verified, newestRecordMs: times.length === 0 ? undefined : times.reduce((a, b) => Math.max(a, b)) };
}
