import * as v from "valibot";
import { fault, ok, type Result } from "../ports/errors.ts";
import { checkOf, hashText } from "./frame.ts";
import { parseJson } from "./record.ts";

/**
 * A segment's name and its header line, pure:
 *
 *     steward-journal <format> <check> <JSON>\n
 *
 * `check`: the first 16 hex digits of SHA-256("steward-journal <format>", space, JSON). The header's
 * whole hash is the link of the segment's first frame, so the header is a part of the chain.
 */
export interface SegmentHeader {
  readonly node: string;
  readonly machineId: string;
  /** The directory's inode when the segment was made: a copied directory has another one. */
  readonly directoryInode: number;
  /** Random, hex: keys every check in this segment. */
  readonly salt: string;
  readonly firstSequence: number;
  /** Hash of the last frame of the segment before; zeros for the first segment. */
  readonly previousHead: string;
  /** RFC 3339 UTC. */
  readonly createdAt: string;
  /** The agent that made it. */
  readonly version: string;
}

export const FORMAT_VERSION = 1;
const MAGIC = "steward-journal";
/** As many digits as the largest exact integer: names sort as numbers. */
const NAME_DIGITS = 16;
const NAME = /^[0-9]{16}\.journal$/;
const HEADER = /^steward-journal ([1-9][0-9]{0,5}) ([0-9a-f]{16}) (\{.*\})$/s;

export const TEMPORARY_SUFFIX = ".tmp";
export const TORN_MARK = ".torn-";

/** "0000000000000001.journal": a segment is named after its first sequence number. */
export function segmentName(firstSequence: number): string {
  return `${String(firstSequence).padStart(NAME_DIGITS, "0")}.journal`;
}

/** Whether a file of the journal's directory is a segment by its name. */
export function isSegmentName(name: string): boolean {
  return NAME.test(name);
}

/** Segment names among `names`, oldest first. */
export function segmentNames(names: readonly string[]): string[] {
  return names.filter(isSegmentName).sort();
}

const HeaderSchema: v.GenericSchema<unknown, SegmentHeader> = v.strictObject({
  node: v.string(),
  machineId: v.string(),
  directoryInode: v.number(),
  salt: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  firstSequence: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  previousHead: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  createdAt: v.string(),
  version: v.string(),
});

/** The header's line, LF included, and its hash. */
export function encodeHeader(header: SegmentHeader): { readonly line: string; readonly hash: string } {
  const body = JSON.stringify(header);
  const hash = hashText(`${MAGIC} ${FORMAT_VERSION}`, body);
  return { line: `${MAGIC} ${FORMAT_VERSION} ${checkOf(hash)} ${body}\n`, hash };
}

/** Whether a header line that cannot be read says that a newer agent wrote it. */
export function isNewerFormat(line: string): boolean {
  return Number(HEADER.exec(line)?.[1] ?? 0) > FORMAT_VERSION;
}

/** Reads a header line (without its LF); `journal.corrupt` says what is wrong with it. */
export function decodeHeader(line: string): Result<{ readonly header: SegmentHeader; readonly hash: string }> {
  const match = HEADER.exec(line);
  const [, format, check, body] = match ?? [];
  if (format === undefined || check === undefined || body === undefined) return fault("journal.corrupt", "the header line is damaged or is none");
  const hash = hashText(`${MAGIC} ${format}`, body);
  if (checkOf(hash) !== check) return fault("journal.corrupt", "the header line does not match its check");
  if (Number(format) !== FORMAT_VERSION) {
    return fault("journal.corrupt", `format ${format} was written by a newer agent, this one reads format ${FORMAT_VERSION}: run the newer agent`);
  }
  const checked = v.safeParse(HeaderSchema, parseJson(body));
  return checked.success ? ok({ header: checked.output, hash }) : fault("journal.corrupt", `the header holds something unexpected: ${checked.issues[0].message}`);
}
