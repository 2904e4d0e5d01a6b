import type { ApiRequest } from "../../src/proxmox/exchange.ts";
import type { SeededRandom } from "../journal/journal-fixture.ts";
import type { Fate } from "../support/simulated-network.ts";
import { pick } from "./population.ts";

/** What becomes of requests in bad times, drawn from a seed; each seed has its own mixture, so that rare meetings of faults are not drowned. */

export type FaultKind =
  | "crash" | "power loss" | "terminate" | "lost before" | "lost after" | "late" | "hang" | "refused" | "error answer" | "slow" | "outage"
  | "edit" | "config lock" | "file lock" | "power" | "task hangs" | "task fails" | "task warns" | "task killed" | "vmid reused" | "migrated" | "arrived" | "no shutdown"
  | "clock jump" | "files" | "pmxcfs restart" | "no quorum" | "disk fails" | "disk full" | "pause" | "resume" | "redeclare" | "resolve" | "accept" | "resync" | "restart" | "compact";

/** Counts of what was injected. */
export type FaultCounts = Partial<Record<FaultKind, number>>;

/** After the request timeout: within what the settle window allows for (Proxmox's lock timeout comes on top). */
const LATE_MAX_MS = 3_000;

const ERRORS: readonly (readonly [number, string])[] = [
  [500, "got no worker upid - start worker failed"], [595, "Connection refused"], [401, "No ticket"], [503, "Service Unavailable"], [596, "Broken pipe"],
  [500, "RPCEnvironment init request failed: Unable to load access control list: Connection refused"], [500, "cluster not ready - no quorum?"], [403, "Permission check failed (/vms/101, VM.Audit)"],
];

interface Mixture {
  readonly lostBefore: number;
  readonly lostAfter: number;
  readonly late: number;
  readonly hang: number;
  readonly refused: number;
  readonly error: number;
  readonly slow: number;
}

export class Weather {
  readonly counts: FaultCounts;
  readonly #random: SeededRandom;
  readonly #requestTimeoutMs: number;
  readonly #reads: Mixture;
  readonly #writes: Mixture;
  #outage: Fate["kind"] | undefined;
  #isCalm = false;

  constructor(random: SeededRandom, requestTimeoutMs: number, counts: FaultCounts) {
    this.#random = random;
    this.#requestTimeoutMs = requestTimeoutMs;
    this.counts = counts;
    this.#reads = this.#draw(0.02);
    this.#writes = this.#draw(0.2);
  }

  count(kind: FaultKind): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }

  /** Nothing answers, in one way or another, until it is over. */
  beginOutage(): void {
    this.count("outage");
    this.#outage = pick(this.#random, ["refused", "error", "hang"] as const);
  }

  endOutage(): void {
    this.#outage = undefined;
  }

  /** From now on every request is answered soon. */
  calmDown(): void {
    this.#isCalm = true;
    this.#outage = undefined;
  }

  fateOf({ method }: ApiRequest): Fate {
    const usual: Fate = { kind: "answered", requestMs: this.#delay(), answerMs: this.#delay() };
    if (this.#isCalm) return usual;
    if (this.#outage !== undefined) return this.#fate(this.#outage, usual);
    const mixture = method === "GET" ? this.#reads : this.#writes;
    let drawn = this.#random.fraction();
    const hits = (chance: number): boolean => (drawn -= chance) < 0;
    if (hits(mixture.lostBefore)) return this.#counted("lost before", "drop_before", usual);
    if (hits(mixture.lostAfter)) return this.#counted("lost after", "drop_after", usual);
    if (hits(mixture.late)) return this.#counted("late", "late", usual);
    if (hits(mixture.hang)) return this.#counted("hang", "hang", usual);
    if (hits(mixture.refused)) return this.#counted("refused", "refused", usual);
    if (hits(mixture.error)) return this.#counted("error answer", "error", usual);
    if (!hits(mixture.slow)) return usual;
    this.count("slow");
    return { kind: "answered", requestMs: this.#random.below(this.#requestTimeoutMs), answerMs: this.#random.below(this.#requestTimeoutMs) };
  }

  #counted(fault: FaultKind, kind: Fate["kind"], usual: Fate): Fate {
    this.count(fault);
    return this.#fate(kind, usual);
  }

  #fate(kind: Fate["kind"], usual: Fate): Fate {
    const requestMs = this.#delay();
    const answerMs = this.#delay();
    switch (kind) {
      case "answered":
        return usual;
      case "refused":
        return { kind, requestMs };
      case "drop_before":
      case "drop_after":
        return { kind, requestMs, answerMs };
      case "late":
        return { kind, appliedMs: this.#random.below(2) === 0 ? this.#random.below(this.#requestTimeoutMs) : this.#requestTimeoutMs + this.#random.below(LATE_MAX_MS) };
      case "hang":
        return { kind };
      case "error": {
        const [status, reason] = pick(this.#random, ERRORS);
        return { kind, requestMs, status, reason };
      }
    }
  }

  /** A fast network, now and then not. */
  #delay(): number {
    if (this.#isCalm) return 1 + this.#random.below(6);
    return this.#random.below(12) === 0 ? this.#random.below(300) : 1 + this.#random.below(6);
  }

  /** Each fault is there in half of the seeds. */
  #draw(chanceMax: number): Mixture {
    const chance = (): number => (this.#random.below(2) === 0 ? 0 : this.#random.fraction() * chanceMax);
    return { lostBefore: chance(), lostAfter: chance(), late: chance(), hang: chance(), refused: chance(), error: chance(), slow: chance() };
  }
}
