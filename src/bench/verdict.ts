import type { ReportFigure, Place, Verdict } from "./report.ts";

/**
 * What a disk's sync rate means, in words a person can act on: the way pveperf's FSYNCS/SECOND is
 * read. The bands are documented in docs/performance.md; `agent doctor` draws the same lines at 200
 * and 1,000.
 */
export const BANDS = ["fine", "usable", "slow", "very_slow", "not_a_disk"] as const;

interface Band {
  readonly band: Verdict["band"];
  readonly fromPerSecond: number;
  /** Continues "this disk syncs N times a second: …". */
  readonly words: string;
  readonly advice: readonly string[];
}

const ELSEWHERE = "put stateDir on flash with power-loss protection, or behind a write cache with a battery";

/** From the fastest down; the last one takes all the rest. */
const BY_RATE: readonly Band[] = [
  { band: "fine", fromPerSecond: 1_000, words: "fine", advice: [] },
  { band: "usable", fromPerSecond: 200, words: "usable; like a consumer SSD without power-loss protection, or a spinning disk behind a cache", advice: [] },
  { band: "slow", fromPerSecond: 50, words: "slow; like a spinning disk, or a consumer SSD that is busy", advice: [ELSEWHERE, "databases in guests on this disk feel it more than the agent"] },
  { band: "very_slow", fromPerSecond: 0, words: "very slow; like a disk that is overloaded, failing, or far away", advice: ["look for what else writes to it (iostat -x 1), and for errors (dmesg, smartctl -a)", ELSEWHERE] },
];

/** File systems that keep nothing over a power cut. */
const IN_MEMORY: readonly string[] = ["tmpfs", "ramfs", "rootfs"];
/** No disk answers sooner, not even persistent memory behind a file system. */
const IMPLAUSIBLE_PER_SECOND = 250_000;
/** An act is intent, task and outcome: so many syncs one after the other (docs/journal.md). */
const SYNCS_PER_ACT = 3;
/** A hundredth that takes this much longer than the middle, and this long at all, comes from other work on the disk. */
const HITCH_FACTOR = 10;
const HITCH_MS = 20;

/** The verdict on the disk under `place`, whose raw syncs are `raw`. */
export function judge(raw: ReportFigure, place: Place): Verdict {
  const rate = Math.round(raw.value);
  const { fileSystem } = place;
  if (fileSystem !== null && IN_MEMORY.includes(fileSystem)) return notADisk(rate, `${place.directory} is memory (${fileSystem}), not a disk: nothing there survives a restart`, "measure the disk that is to hold the journal: --dir DIR");
  if (rate > IMPLAUSIBLE_PER_SECOND) return notADisk(rate, `${counted(rate)} syncs a second is more than a disk can do: something answers before the data is safe`, "in a virtual machine look at the disk's cache mode (unsafe); elsewhere at what makes syncs do nothing");
  const { band, words, advice } = bandOf(rate);
  const p50Ms = raw.p50Ms ?? 1_000 / raw.value;
  const expectation = `expect an act of the agent to wait ${waited(SYNCS_PER_ACT * p50Ms)} for it in all`;
  return { band, syncsPerSecond: rate, message: `this disk syncs ${counted(rate)} times a second: ${words}; ${expectation}`, advice: [...advice, ...hitches(raw.p99Ms, p50Ms)] };
}

function bandOf(rate: number): Band {
  const found = BY_RATE.find(({ fromPerSecond }) => rate >= fromPerSecond);
  if (found === undefined) throw new Error(`no band for ${rate} syncs a second`);
  return found;
}

function notADisk(rate: number, message: string, advice: string): Verdict {
  return { band: "not_a_disk", syncsPerSecond: rate, message, advice: [advice] };
}

function hitches(p99Ms: number | null, p50Ms: number): readonly string[] {
  const isHitch = p99Ms !== null && p99Ms >= HITCH_MS && p99Ms >= HITCH_FACTOR * p50Ms;
  return isHitch ? [`one sync in a hundred takes ${waited(p99Ms)} or longer: other work on the same disk, or its own housekeeping`] : [];
}

function waited(ms: number): string {
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(1)} s`;
  return ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`;
}

/** 7,100 and not 7123: what is measured is not that exact. */
function counted(rate: number): string {
  const rounded = rate < 1_000 ? rate : Number(rate.toPrecision(2));
  return rounded.toLocaleString("en");
}
