/** Every bound of the journal, with its unit and the reason for its default. */
export interface JournalLimits {
  /** A segment is followed by a new one when this much was appended after its checkpoint: what opening reads at most. */
  readonly segmentBytes: number;
  /** Older segments are kept for audit up to this size in total … */
  readonly retainBytes: number;
  /** … and up to this age. */
  readonly retainMs: number;
  /** One record's JSON. A guest's whole config is about 4 KiB; far more is a mistake. */
  readonly recordBytes: number;
  /** Submissions that wait for the disk: beyond this the disk is sick and callers must hear it. */
  readonly queueRecords: number;
  readonly queueBytes: number;
  /** Settled operations kept for status pages. */
  readonly recentOperations: number;
  /** Keys of one-shot operations that have not expired: every one of them is in memory and in each checkpoint. */
  readonly keys: number;
  /** Verdicts remembered, to write a record on change only; the least recent is forgotten first. */
  readonly verdicts: number;
  /** A spare file of this size is given up when the disk is full, so that outcomes can be written. */
  readonly reserveBytes: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const DAY_MS = 86_400_000;

export const DEFAULT_LIMITS: JournalLimits = {
  segmentBytes: 2 * MIB,
  retainBytes: 256 * MIB,
  retainMs: 90 * DAY_MS,
  recordBytes: 256 * KIB,
  queueRecords: 65_536,
  queueBytes: 32 * MIB,
  recentOperations: 256,
  keys: 10_000,
  verdicts: 20_000,
  reserveBytes: 256 * KIB,
};

/** Room kept for one started operation: its task record and its outcome, each under 8 KiB with the detail cut below. */
export const OUTCOME_RESERVE_BYTES = 16 * KIB;
/** With less free space than this the disk counts as full: it is what a few acts and a checkpoint need. */
export const FREE_BYTES_MIN = 64 * KIB;
/** Room kept beyond that, so that space is asked for once in a while and not for every operation. */
export const HEADROOM_BYTES = 256 * KIB;
/** An error text longer than this is cut: outcomes must fit the space reserved for them. */
export const DETAIL_CHARS_MAX = 2_000;
/** Keys and nonces are kept this long past their expiry: clocks of signer and agent differ. */
export const EXPIRY_MARGIN_MS = 3_600_000;

export const DIRECTORY_MODE = 0o700;
export const FILE_MODE = 0o600;
/** Permission bits that let somebody else write. */
export const FOREIGN_WRITE_BITS = 0o022;
