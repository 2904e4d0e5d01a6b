import { ok, type Result } from "../ports/errors.ts";
import type { HostConditions } from "./host-conditions.ts";
import type { HostFacts, HostSnapshot } from "./host-snapshot.ts";
import type { HostPoll } from "./host-source.ts";
import type { EngineDeps } from "./types.ts";

/** While the cluster has no quorum it is asked for again this often: guests are held for it. */
const QUORUM_RETRY_MS = 5_000;

/** The host as the engine knows it: what the last poll found, and the facts that change rarely. */
export class HostView {
  readonly #deps: Pick<EngineDeps, "source" | "api" | "clock">;
  readonly #conditions: HostConditions;
  #snapshot: HostSnapshot | undefined;
  #facts: HostFacts | undefined;
  /** The declared guests of the last poll. */
  #declared: ReadonlyMap<number, unknown> | undefined;
  #quorumAskedMs = Number.NEGATIVE_INFINITY;

  constructor(deps: Pick<EngineDeps, "source" | "api" | "clock">, conditions: HostConditions) {
    this.#deps = deps;
    this.#conditions = conditions;
  }

  get snapshot(): HostSnapshot | undefined {
    return this.#snapshot;
  }

  get facts(): HostFacts | undefined {
    return this.#facts;
  }

  /** Reads the host for one job, where no loop does. */
  async lookOnce(): Promise<Result<void>> {
    const snapshot = await this.#deps.source.look();
    if (!snapshot.ok) return snapshot;
    const facts = await this.#deps.source.facts();
    if (!facts.ok) return facts;
    this.#snapshot = snapshot.value;
    this.#facts = facts.value;
    return ok(undefined);
  }

  /** True when the rarely changing facts are known. */
  async refreshFacts(isResync: boolean): Promise<boolean> {
    if (!isResync && this.#facts !== undefined) return true;
    const facts = await this.#deps.source.facts();
    if (!facts.ok) {
      this.#conditions.unreachable(facts.error);
      return false;
    }
    await this.#askForQuorum();
    this.#facts = facts.value;
    return true;
  }

  /** While there is no quorum it is asked for again now and then. True: it is back just now. */
  async hasQuorumReturned(): Promise<boolean> {
    if (this.#conditions.mayHaveQuorum() || this.#deps.clock.monotonic() - this.#quorumAskedMs < QUORUM_RETRY_MS) return false;
    await this.#askForQuorum();
    return this.#conditions.mayHaveQuorum();
  }

  async #askForQuorum(): Promise<void> {
    this.#quorumAskedMs = this.#deps.clock.monotonic();
    const quorum = await this.#deps.api.hasQuorum();
    if (quorum.ok) this.#conditions.quorum(quorum.value);
  }

  /**
   * Takes what a poll found. Declared guests that are not here may be on another node: the cluster is
   * asked when one went missing or is newly declared and at a resync, and again while it has not answered.
   */
  async take({ snapshot, changed }: HostPoll, declared: ReadonlyMap<number, unknown> | undefined, isResync: boolean): Promise<void> {
    this.#snapshot = await this.#located(snapshot, changed.size > 0 || declared !== this.#declared, declared, isResync);
    this.#declared = declared;
  }

  async #located(snapshot: HostSnapshot, hasChanged: boolean, declared: ReadonlyMap<number, unknown> | undefined, isResync: boolean): Promise<HostSnapshot> {
    const before = this.#snapshot;
    if (declared === undefined || snapshot.elsewhere.size > 0) return snapshot;
    const isKnown = before !== undefined && before.unlocated === undefined;
    // Nobody came or went: what was asked stands, and an idle host costs nothing for each guest.
    if (isKnown && !hasChanged && !isResync) return { ...snapshot, elsewhere: before.elsewhere };
    const absent = [...declared.keys()].filter((vmid) => !snapshot.guests.has(vmid));
    if (absent.length === 0) return snapshot;
    const hasNews = isResync || !isKnown || absent.some((vmid) => before.guests.has(vmid) || this.#declared?.has(vmid) !== true);
    if (!hasNews) return { ...snapshot, elsewhere: before.elsewhere };
    const located = await this.#deps.source.locate(absent);
    if (located.ok) return { ...snapshot, elsewhere: located.value };
    return { ...snapshot, elsewhere: before?.elsewhere ?? snapshot.elsewhere, unlocated: located.error.message };
  }
}
