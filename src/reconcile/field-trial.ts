import { admit } from "../gate/admit.ts";
import type { ApprovedAction } from "../gate/types.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import type { FieldChange } from "../plan/types.ts";
import type { ProxmoxFault } from "../ports/proxmox-api.ts";
import type { Look } from "./look.ts";
import type { RefusalBasis, Refusals } from "./refusals.ts";
import { isAboutKeys, isAboutValues, namedKeys, type ConfigAction } from "./refused-keys.ts";

/**
 * Which config keys of one guest go into the next write, in one reconcile. Keys go together until
 * Proxmox refuses the write: a key that it names is set aside and the rest is sent; where it names none,
 * the keys go one by one, each once. A key that was refused earlier is tried again alone. So there are
 * never more writes in a reconcile than keys and one.
 */
export class FieldTrial {
  readonly #refusals: Refusals;
  readonly #version: string;
  /** Keys of a write that was refused without a name, not yet sent alone. */
  readonly #suspects = new Set<string>();
  /** Refused alone, without a name: about the key only if another key is taken. */
  readonly #accused = new Map<string, { readonly change: FieldChange; readonly fault: ProxmoxFault; readonly basis: RefusalBasis }>();
  /** Sent and refused in this reconcile: not again before the next. */
  readonly #tried = new Set<string>();
  #hasSinglesTaken = false;

  /** @param version the host's, as text */
  constructor(refusals: Refusals, version: string) {
    this.#refusals = refusals;
    this.#version = version;
  }

  /** Writes still to come because keys go one by one. */
  get suspectCount(): number {
    return this.#suspects.size;
  }

  /** The actions as they may be sent now; a write without a key left is dropped. */
  admissible({ approved, plan, observed }: Look): readonly ApprovedAction[] {
    if (observed === undefined || plan.standing === "unreadable") return approved;
    const differing = [...plan.actions, ...plan.withheld].flatMap((action) => (action.type === "set_config" ? action.changes : []));
    this.#refusals.noteRead(observed.vmid, differing, observed.config.digest);
    return approved.flatMap((action) => {
      if (action.type !== "set_config") return [action];
      const changes = this.#choose(action, observed);
      if (changes.length === action.changes.length) return [action];
      return changes.length === 0 ? [] : admit([{ ...action, changes }], observed).approved;
    });
  }

  /** A write was taken. */
  taken(action: ApprovedAction): void {
    if (action.type !== "set_config") return;
    const [only] = action.changes;
    if (only !== undefined && this.#suspects.delete(only.key)) this.#hasSinglesTaken = true;
  }

  /** A write was refused. True: that is about keys, and the others go on; false: it is about the guest. */
  refused(action: ApprovedAction, fault: ProxmoxFault | undefined, observed: ObservedGuest): boolean {
    if (action.type !== "set_config" || fault === undefined || !isAboutKeys(fault)) return false;
    const named = namedKeys(fault, action.changes);
    const [only, ...others] = action.changes;
    const basis = { digest: observed.config.digest, version: this.#version };
    for (const change of action.changes) {
      const words = named.get(change.key) ?? (others.length === 0 && fault.code !== "proxmox.other" ? fault.message : undefined);
      if (words !== undefined) this.#setAside(observed.vmid, change, words, fault, basis);
    }
    if (named.size > 0) return true;
    if (others.length > 0) {
      for (const change of action.changes) this.#suspects.add(change.key);
      return true;
    }
    return only !== undefined && (fault.code !== "proxmox.other" || this.#accuse(only, fault, basis));
  }

  /**
   * To be asked when no write is left. The fault, when every key was refused alone and without a name: that is
   * about the guest or the host, and nothing was set aside. Else those that were accused are set aside.
   */
  verdict(vmid: number): ProxmoxFault | undefined {
    const accused = [...this.#accused.values()];
    this.#accused.clear();
    if (!this.#hasSinglesTaken) return accused[0]?.fault;
    for (const { change, fault, basis } of accused) this.#refusals.refused(vmid, change, fault.message, false, basis);
    return undefined;
  }

  #choose(action: ConfigAction, { vmid, config }: ObservedGuest): readonly FieldChange[] {
    const standings = new Map(action.changes.map((change) => [change, this.#standing(vmid, change, config.digest)]));
    const suspect = action.changes.find((change) => this.#suspects.has(change.key) && standings.get(change) !== "waiting");
    if (suspect !== undefined) return [suspect];
    const fresh = action.changes.filter((change) => standings.get(change) === "fresh");
    if (fresh.length > 0) return fresh;
    const due = action.changes.find((change) => standings.get(change) === "due");
    return due === undefined ? [] : [due];
  }

  #standing(vmid: number, change: FieldChange, digest: string): "fresh" | "waiting" | "due" {
    return this.#tried.has(change.key) ? "waiting" : this.#refusals.standing(vmid, change, { digest, version: this.#version });
  }

  /** True when the key was one of several; alone from the first it is the guest that fails. */
  #accuse(change: FieldChange, fault: ProxmoxFault, basis: RefusalBasis): boolean {
    if (!this.#suspects.delete(change.key)) return false;
    this.#tried.add(change.key);
    this.#accused.set(change.key, { change, fault, basis });
    return true;
  }

  #setAside(vmid: number, change: FieldChange, words: string, fault: ProxmoxFault, basis: RefusalBasis): void {
    this.#suspects.delete(change.key);
    this.#tried.add(change.key);
    this.#refusals.refused(vmid, change, words, isAboutValues(fault), basis);
  }
}
