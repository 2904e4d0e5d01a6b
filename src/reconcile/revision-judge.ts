import type { DesiredGuest, DesiredState } from "../desired/model.ts";
import { isHeldByBlastRadius } from "../plan/blast-radius.ts";
import { unreachable } from "../ports/errors.ts";
import type { Log } from "../ports/log.ts";
import { REVISION_SHOWN, type RevisionGate } from "./revision.ts";
import type { EngineSettings } from "./types.ts";

/** What a look at a guest says about a revision. */
export interface Survey {
  /** It would be changed, or cannot be read. */
  readonly isAffected: boolean;
  readonly isUnreadable: boolean;
  /** It could not be read for a reason that is not its own. */
  readonly isHostTrouble: boolean;
}

/** The pass in which a revision is judged. */
export interface JudgedPass {
  /** Nothing has been read before: every guest is looked at, whatever is known of the revision. */
  readonly isFirstRead: boolean;
  readonly isResync: boolean;
  /** Guests of this host, declared or not: what a share is a share of. */
  readonly hostGuestCount: number;
}

/**
 * Judges a revision once, before anything of it is sent (docs/decisions/006-a-revision-is-judged-once.md):
 * the guests whose declaration is new are read, at the first pass all of them, and those that would be
 * changed are counted. Too many hold it; what happens to a held one is RevisionGate's.
 */
export class RevisionJudge {
  readonly #revision: RevisionGate;
  readonly #settings: Pick<EngineSettings, "maxAffectedPercent" | "isDryRun">;
  readonly #log: Log;
  readonly #survey: (desired: DesiredGuest) => Promise<Survey>;
  /** The revision that was surveyed last, and whether only guests that could not be read made it too large. */
  #surveyed: { readonly revision: string; readonly isProvisional: boolean } | undefined;

  /** @param survey reads one guest and sends nothing */
  constructor(revision: RevisionGate, settings: Pick<EngineSettings, "maxAffectedPercent" | "isDryRun">, log: Log, survey: (desired: DesiredGuest) => Promise<Survey>) {
    this.#revision = revision;
    this.#settings = settings;
    this.#log = log;
    this.#survey = survey;
  }

  /**
   * The first pass, and each revision that was never in force. A guest that cannot be read counts as
   * changed; where that alone made the revision too large it is judged again by the next full read.
   * False: Proxmox itself could not be reached, so nothing is judged yet.
   */
  async judge(state: DesiredState, pass: JudgedPass): Promise<boolean> {
    if (!this.#needsSurvey(state, pass)) return true;
    const asked = pass.isFirstRead ? [...state.guests.values()] : this.#revision.redeclared();
    const surveyed = await Promise.all(asked.map((desired) => this.#survey(desired)));
    if (surveyed.some((guest) => guest.isHostTrouble)) return false;
    // A person may have accepted it meanwhile.
    if (this.#revision.standing() !== "accepted") await this.#decide(state, surveyed, pass.hostGuestCount);
    return true;
  }

  #needsSurvey(state: DesiredState, pass: JudgedPass): boolean {
    if (pass.isFirstRead) return true;
    const isSurveyed = this.#surveyed?.revision === state.revision;
    const standing = this.#revision.standing();
    switch (standing) {
      case "accepted":
        return false;
      case "undecided":
        return !isSurveyed;
      case "held":
        return isSurveyed && this.#surveyed?.isProvisional === true && pass.isResync;
      default:
        return unreachable(standing);
    }
  }

  async #decide(state: DesiredState, surveyed: readonly Survey[], hostGuestCount: number): Promise<void> {
    const { maxAffectedPercent, isDryRun } = this.#settings;
    const isTooLarge = (affected: number): boolean => isHeldByBlastRadius({ affected, hostGuests: hostGuestCount, maxAffectedPercent });
    const affected = surveyed.filter((guest) => guest.isAffected).length;
    const unreadable = surveyed.filter((guest) => guest.isUnreadable).length;
    this.#surveyed = { revision: state.revision, isProvisional: isTooLarge(affected) && !isTooLarge(affected - unreadable) };
    if (isTooLarge(affected)) {
      const shown = state.revision.slice(0, REVISION_SHOWN);
      return this.#revision.hold(
        `revision ${shown} would change ${affected} of ${hostGuestCount} guests${unreadable === 0 ? "" : ` (${unreadable} cannot be read and count as changed)`}, ` +
          `the limit is ${maxAffectedPercent} % (maxAffectedPercent); ` +
          `look at it with "agent plan", then let it through with "agent accept ${shown}"`,
      );
    }
    // Having looked is not having agreed.
    if (isDryRun) return;
    const accepted = await this.#revision.accept();
    if (!accepted.ok) this.#log.warn("the accepted revision could not be journaled; it is judged again after a restart", { error: accepted.error.message });
  }
}
