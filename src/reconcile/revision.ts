import type { DesiredGuest, DesiredState } from "../desired/model.ts";
import type { Journal } from "../journal/types.ts";
import { fault, ok, type Result } from "../ports/errors.ts";

/**
 * Which declarations may be acted on. A new revision that would change more than `maxAffectedPercent`
 * of the host's guests (and at least three) waits for `agent accept`. While it waits, guests that are
 * declared exactly as before are still kept; those whose declaration changed are left alone.
 */

/** Characters of a revision that a person must type at least, and that messages show. */
const REVISION_TYPED_MIN = 8;
export const REVISION_SHOWN = 12;

const NAMESPACE = "revision";
const ACCEPTED = "accepted";

export type RevisionStanding = "accepted" | "undecided" | "held";

/** Keeps the two states apart and remembers, durably, which revision was accepted. */
export class RevisionGate {
  readonly #journal: Journal;
  #newest: DesiredState | undefined;
  #accepted: DesiredState | undefined;
  #standing: RevisionStanding = "undecided";
  #heldMessage = "";
  #released: readonly DesiredGuest[] = [];

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  newest(): DesiredState | undefined {
    return this.#newest;
  }

  standing(): RevisionStanding {
    return this.#standing;
  }

  heldMessage(): string {
    return this.#heldMessage;
  }

  /** Takes a loaded state; returns true when its revision still has to be judged. */
  offer(state: DesiredState): boolean {
    if (this.#newest?.revision === state.revision) {
      this.#newest = state;
      if (this.#standing === "accepted") this.#accepted = state;
      return this.#standing === "undecided";
    }
    this.#newest = state;
    const isKnown = this.#journal.fact(NAMESPACE, ACCEPTED) === state.revision;
    this.#standing = isKnown ? "accepted" : "undecided";
    if (isKnown) this.#accepted = state;
    return !isKnown;
  }

  /** A new config may judge otherwise: what is held is judged again. */
  reconsider(): void {
    if (this.#standing === "held") this.#standing = "undecided";
  }

  /** Puts the newest revision on hold. */
  hold(message: string): void {
    this.#standing = "held";
    this.#heldMessage = message;
  }

  /**
   * Accepts the newest revision. It is in force at once; a journal that cannot record it now is
   * reported, and the revision is judged again after a restart.
   */
  async accept(): Promise<Result<void>> {
    if (this.#newest === undefined) return { ok: true, value: undefined };
    this.#released = this.redeclared();
    this.#standing = "accepted";
    this.#accepted = this.#newest;
    this.#heldMessage = "";
    return this.#journal.putFact(NAMESPACE, ACCEPTED, this.#newest.revision);
  }

  /** Accepts the newest revision if `revision` names it: whole, or its first characters, at least 8. */
  async acceptNamed(revision: string): Promise<Result<string>> {
    const newest = this.#newest;
    if (newest === undefined || revision.length < REVISION_TYPED_MIN || !newest.revision.startsWith(revision)) {
      const found = newest === undefined ? "no revision is loaded" : `the newest revision is ${newest.revision.slice(0, REVISION_SHOWN)}`;
      return fault("control.refused", `expected at least ${REVISION_TYPED_MIN} characters of the newest revision, found "${revision}"; ${found}. Look at it with "agent plan"`);
    }
    const accepted = await this.accept();
    return accepted.ok ? ok(newest.revision) : accepted;
  }

  /** Guests whose declaration has come into force since this was asked last. */
  takeReleased(): readonly DesiredGuest[] {
    const released = this.#released;
    this.#released = [];
    return released;
  }

  /** May this declaration be acted on now? */
  isInForce(guest: DesiredGuest): boolean {
    return this.#standing === "accepted" || this.#wasInForce(guest);
  }

  /** Guests of the newest revision whose declaration is not that of the revision in force: what is to be judged. */
  redeclared(): readonly DesiredGuest[] {
    return [...(this.#newest?.guests.values() ?? [])].filter((guest) => !this.#wasInForce(guest));
  }

  #wasInForce(guest: DesiredGuest): boolean {
    const before = this.#accepted?.guests.get(guest.vmid);
    return before !== undefined && isDeclaredAlike(before, guest);
  }
}

/** Same meaning of one guest's declaration; positions in files do not count. */
export function isDeclaredAlike(left: DesiredGuest, right: DesiredGuest): boolean {
  return (
    left.kind === right.kind && left.vmid === right.vmid && left.mode === right.mode && left.state === right.state &&
    Bun.deepEquals(left.config, right.config, true)
  );
}
