import { checkOf, type Check } from "./check.ts";
import type { ConfiguredFacts, DiskFacts, FileFacts, FilePurpose, JournalFacts } from "./facts.ts";
import { broken, fine, skip, warn, type Judgement } from "./finding.ts";
import { count, MEND_CLOCK, octal } from "./words.ts";

/** Checks of files: whose they are, how fast the disk under them is, whether the journal is whole. */
export const STORAGE_CHECKS: readonly Check[] = [
  checkOf("files", "files", "files the agent trusts belong to its user or root, and nobody else may write them; secrets nobody else may read", judgeFiles),
  checkOf("state-dir", "disk", "a state directory that can be written, with room on its disk", judgeStateDirectory),
  checkOf("sync-speed", "disk", "200 syncs a second or more: each act waits for one", judgeSyncSpeed),
  checkOf("journal", "journal", "a journal in which nothing was changed, dropped, reordered or inserted", judgeJournal),
  checkOf("journal-time", "journal", "no record of the journal is newer than the clock", judgeJournalTime),
];

/** What may not be in a file's mode, by what it is for, and why. */
const FORBIDDEN: Readonly<Record<FilePurpose, { readonly bits: number; readonly why: string }>> = {
  config: { bits: 0o022, why: "others could send the token elsewhere" },
  token: { bits: 0o066, why: "others could act as the agent" },
  tokenDirectory: { bits: 0o022, why: "others could exchange the token" },
  stateDirectory: { bits: 0o022, why: "others could exchange the journal" },
  journalDirectory: { bits: 0o022, why: "others could change the record" },
  journalSegment: { bits: 0o022, why: "others could change the record" },
  socket: { bits: 0o066, why: "others could command the agent" },
  // A group may well share the writing of the desired state.
  desiredDirectory: { bits: 0o002, why: "everybody could declare guests" },
};

/** In a directory with the sticky bit nobody moves or removes what is another's. */
const STICKY = 0o1000;

const ROOT_UID = 0;

function judgeFiles(files: readonly FileFacts[], facts: ConfiguredFacts): Judgement {
  const problems = files.flatMap((file) => fileProblems(file, facts));
  if (problems.length > 0) return broken(`${problems.length} of them not so`, "chmod and chown as each line says; replace the token if others may have read it", problems);
  const present = files.filter(({ status }) => status.ok);
  const uids = new Set(present.map(({ status }) => (status.ok ? status.value.ownerUid : ROOT_UID)));
  return fine(`${present.length} looked at, of user ${[...uids].sort((a, b) => a - b).join(", ") || "nobody"}`, present.map(describeFile));
}

function describeFile({ path, status }: FileFacts): string {
  return status.ok ? `${path}: mode ${octal(status.value.mode)}, user ${status.value.ownerUid}` : `${path}: ${status.error.message}`;
}

function fileProblems({ purpose, path, status }: FileFacts, { agentUid }: ConfiguredFacts): readonly string[] {
  // What is not there yet is made by the agent, or missed by the check it is for.
  if (!status.ok) return status.error.code === "file.not_found" ? [] : [`${path}: ${status.error.message}`];
  const { mode, ownerUid, isDirectory } = status.value;
  const { bits, why } = FORBIDDEN[purpose];
  const isSticky = isDirectory && (mode & STICKY) !== 0;
  const found: string[] = [];
  if ((mode & bits) !== 0 && !isSticky) found.push(`${path}: mode ${octal(mode)}, ${why}: chmod ${withoutBits(mode, bits)} ${path}`);
  if (ownerUid !== agentUid && ownerUid !== ROOT_UID) found.push(`${path}: belongs to user ${ownerUid}, expected ${agentUid} or root: chown it`);
  // Nobody but its owner reads it, so a token of root's is of no use to an agent that is not root.
  if (purpose === "token" && ownerUid === ROOT_UID && agentUid !== ROOT_UID) found.push(`${path}: belongs to root, and the agent is user ${agentUid}: chown ${agentUid} ${path}`);
  return found;
}

function withoutBits(mode: number, bits: number): string {
  return (mode & 0o777 & ~bits).toString(8);
}

/** Under this the journal soon has no room; it stops acting at 64 KiB, and a checkpoint alone may need megabytes. */
const FREE_BYTES_WANTED = 64 * 1024 * 1024;

function judgeStateDirectory({ isPresent, freeBytes, sync }: DiskFacts, { config }: ConfiguredFacts): Judgement {
  const path = config.stateDir;
  if (!isPresent) return skip(`${path} is not there yet: the agent makes it at its first start`);
  if (!sync.ok && sync.error.code === "file.denied") {
    return broken(sync.error.message, `run agent doctor as root or as the agent's user; when it is the agent's user, chown ${path} to it`);
  }
  if (!sync.ok) return broken(sync.error.message, "look at the disk (dmesg, df, mount): without a journal that can be written the agent does not act");
  if (!freeBytes.ok) return broken(freeBytes.error.message, "look at the disk");
  const mebibytes = Math.floor(freeBytes.value / 1024 / 1024);
  if (freeBytes.value < FREE_BYTES_WANTED) return warn(`${path} can be written; ${mebibytes} MiB are left`, "make room: with a full disk the agent does not act");
  return fine(`${path} can be written; ${mebibytes} MiB are left`);
}

/** Proxmox's own pveperf calls fewer than this too slow (its manual page, FSYNCS/SECOND). */
const SYNCS_WANTED = 200;
/** Beyond this a cache that survives a power cut stands between the agent and the disk, or flash. */
const SYNCS_FAST = 1_000;
/** One sync that took this long keeps every act waiting as long. */
const SLOW_SYNC_MS = 1_000;

function judgeSyncSpeed({ isPresent, sync }: DiskFacts): Judgement {
  if (!isPresent || !sync.ok) return skip("not measured, see state-dir");
  const { syncs, seconds, slowestMs } = sync.value;
  const rate = Math.round(syncs / seconds);
  const found = `${rate} syncs a second, the slowest took ${slowestMs.toFixed(1)} ms`;
  const mend = "put stateDir on a disk with a protected write cache, or on flash; look for what else writes to it";
  if (rate < SYNCS_WANTED) return warn(`${found}: slow`, mend);
  if (slowestMs > SLOW_SYNC_MS) return warn(`${found}: fast, with a hitch`, mend);
  return fine(`${found}: ${rate >= SYNCS_FAST ? "fast" : "fast enough"}`);
}

function judgeJournal({ directory, verified }: JournalFacts): Judgement {
  if (!verified.ok) {
    const { code, message } = verified.error;
    if (code === "journal.missing" || code === "file.not_found") return skip(`none in ${directory} yet: the first start makes it`);
    return broken(message, "run agent doctor as root or as the agent's user");
  }
  const { outcome, records, head, problem } = verified.value;
  const found = `${count(records, "record")}, head ${head.hash.slice(0, HASH_SHOWN)}`;
  const where = problem === undefined ? [] : [`${problem.segment}:${problem.line}: ${problem.message}`];
  switch (outcome) {
    case "intact":
      return fine(found);
    case "torn":
      return warn(`${found}; the end is torn, as a crash leaves it`, "nothing: the next start saves the torn bytes beside it and goes on", where);
    case "corrupt":
      return broken(`${found}; corrupt`, "docs/journal.md, damage: the agent does not act with it; keep a copy before anything else", where);
  }
}

/** Characters of a hash that messages show. */
const HASH_SHOWN = 16;

/** The clock may be set back this far by time servers without anybody caring. */
const CLOCK_BACK_MAX_MS = 2_000;

function judgeJournalTime({ newestRecordMs }: JournalFacts, { nowMs }: ConfiguredFacts): Judgement {
  if (newestRecordMs === undefined) return skip("no records to compare the clock with");
  const newest = new Date(newestRecordMs).toISOString();
  const aheadMs = newestRecordMs - nowMs;
  if (aheadMs <= CLOCK_BACK_MAX_MS) return fine(`the newest is of ${newest}`);
  return broken(`the newest is of ${newest}, ${Math.ceil(aheadMs / 1000)} s from now: the clock went back`, `${MEND_CLOCK}; until then pauses and waiting times are judged wrongly`);
}
