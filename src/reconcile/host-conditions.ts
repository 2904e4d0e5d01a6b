import type { ConditionMoment, HostReason } from "../conditions/condition.ts";
import type { ConditionTracker } from "../conditions/tracker.ts";
import type { DesiredReport } from "../desired/model.ts";
import type { JournalHealth } from "../journal/types.ts";
import type { Clock } from "../ports/clock.ts";
import { unreachable } from "../ports/errors.ts";
import type { ProxmoxFault } from "../ports/proxmox-api.ts";
import type { RevisionGate } from "./revision.ts";

/** A clock that is this far behind the journal's newest record was set back; less is NTP at work. */
const CLOCK_BEHIND_MAX_MS = 120_000;

/** Problems spelled out in one message; the rest is counted. */
const PROBLEMS_SHOWN_MAX = 5;

/** Turns what the engine meets into host conditions. One place, so that each reason has one meaning. */
export class HostConditions {
  readonly #tracker: ConditionTracker;
  readonly #clock: Clock;
  readonly #generation: () => string;

  constructor(tracker: ConditionTracker, clock: Clock, generation: () => string) {
    this.#tracker = tracker;
    this.#clock = clock;
    this.#generation = generation;
  }

  reachable(): void {
    this.#tracker.setHost("ProxmoxReachable", "True", "Reachable", "", this.#at());
  }

  unreachable(fault: ProxmoxFault): void {
    this.#tracker.setHost("ProxmoxReachable", "False", reachabilityReason(fault), fault.message, this.#at());
    if (fault.code === "proxmox.transient" && fault.isReadOnlyCluster) this.quorum(false);
  }

  /** A guest's own fault tells about the host where it is not about the guest. True: the host must be probed again. */
  guestFault(fault: ProxmoxFault): boolean {
    const isHostFault = fault.code === "proxmox.unreachable" || fault.code === "proxmox.untrusted" || fault.code === "proxmox.unauthenticated";
    if (isHostFault) this.unreachable(fault);
    const isReadOnly = fault.code === "proxmox.transient" && fault.isReadOnlyCluster;
    if (isReadOnly) this.quorum(false);
    return isHostFault || isReadOnly;
  }

  quorum(hasQuorum: boolean | null): void {
    if (hasQuorum === true) this.#tracker.setHost("QuorumOk", "True", "Quorate", "", this.#at());
    else if (hasQuorum === false) this.#tracker.setHost("QuorumOk", "False", "NoQuorum", "the cluster has no quorum: configs are read-only until it has", this.#at());
    else this.#tracker.setHost("QuorumOk", "Unknown", "NotVisible", "this token may not see the cluster's state (Sys.Audit on / would show it)", this.#at());
  }

  /** False while it is known that there is no quorum; where it is not visible, a refused write tells. */
  mayHaveQuorum(): boolean {
    return this.#tracker.hostCondition("QuorumOk")?.status !== "False";
  }

  firstReadDone(): void {
    this.#tracker.setHost("FirstFullReadDone", "True", "Done", "", this.#at());
  }

  journal(health: JournalHealth): void {
    const reason = journalReason(health.state);
    this.#tracker.setHost("JournalReady", reason === "Healthy" ? "True" : "False", reason, health.message, this.#at());
  }

  clock(lastRecordedAtMs: number | undefined): void {
    const behindMs = (lastRecordedAtMs ?? 0) - this.#clock.now();
    if (behindMs <= CLOCK_BEHIND_MAX_MS) return this.#tracker.setHost("ClockSane", "True", "Sane", "", this.#at());
    this.#tracker.setHost(
      "ClockSane", "False", "BehindJournal",
      `the clock is ${Math.round(behindMs / 1000)} s behind the journal's newest record: it was set back, or the journal comes from elsewhere; check the time source`,
      this.#at(),
    );
  }

  desired(kind: string, report: DesiredReport): void {
    const { problems, state } = report;
    const conflicts = state?.conflicts ?? [];
    if (problems.length > 0) {
      const reason = problems.every((problem) => problem.code === "desired.unreadable") ? "Unreadable" : "Invalid";
      const kept = state === undefined ? "nothing is managed until it is mended" : "the last good state stays in force";
      return this.#tracker.setHost("DesiredStateReady", "False", reason, `${listed(problems.map((problem) => problem.message))} (${kept})`, this.#at());
    }
    if (conflicts.length > 0) {
      const texts = conflicts.map(({ vmid, positions }) => `vmid ${vmid} is declared at ${positions.map((at) => `${at.file}:${at.line}:${at.column}`).join(" and ")}`);
      return this.#tracker.setHost("DesiredStateReady", "False", "Conflicts", `${listed(texts)}: keep one of them; until then these guests are left alone`, this.#at());
    }
    if (kind === "empty") this.#tracker.setHost("DesiredStateReady", "True", "SourceEmpty", "", this.#at());
    else this.#tracker.setHost("DesiredStateReady", "True", "Loaded", "", this.#at());
  }

  revision(gate: RevisionGate): void {
    if (gate.standing() === "held") this.#tracker.setHost("RevisionHeld", "True", "TooManyAffected", gate.heldMessage(), this.#at());
    else this.revisionInForce();
  }

  revisionInForce(): void {
    this.#tracker.setHost("RevisionHeld", "False", "NotHeld", "", this.#at());
  }

  #at(): ConditionMoment {
    return { nowMs: this.#clock.now(), generation: this.#generation() };
  }
}

function listed(texts: readonly string[]): string {
  const shown = texts.slice(0, PROBLEMS_SHOWN_MAX).join("; ");
  return texts.length > PROBLEMS_SHOWN_MAX ? `${shown}; and ${texts.length - PROBLEMS_SHOWN_MAX} more` : shown;
}

function reachabilityReason(fault: ProxmoxFault): HostReason<"ProxmoxReachable"> {
  switch (fault.code) {
    case "proxmox.unreachable":
    case "proxmox.no_answer":
      return "Unreachable";
    case "proxmox.untrusted":
      return "Untrusted";
    case "proxmox.unauthenticated":
      // Nothing was sent: the token could not even be read.
      return fault.delivery === "none" ? "TokenUnusable" : "Unauthenticated";
    case "proxmox.forbidden":
      return "Forbidden";
    case "proxmox.locked":
    case "proxmox.lock_timeout":
    case "proxmox.digest_conflict":
    case "proxmox.guest_missing":
    case "proxmox.bad_parameter":
    case "proxmox.transient":
    case "proxmox.unexpected_answer":
    case "proxmox.other":
      return "Failing";
    default:
      return unreachable(fault);
  }
}

function journalReason(state: JournalHealth["state"]): HostReason<"JournalReady"> {
  switch (state) {
    case "healthy":
      return "Healthy";
    case "missing":
      return "Missing";
    case "unwritable":
    case "closed":
      return "Unwritable";
    case "insecure":
      return "Insecure";
    case "full":
      return "Full";
    case "poisoned":
      return "Poisoned";
    case "corrupt":
      return "Corrupt";
    default:
      return unreachable(state);
  }
}
