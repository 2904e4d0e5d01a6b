import { recordedIdentity, type GuestIdentity } from "../guest/identity.ts";
import type { GuestKind } from "../guest/key.ts";
import type { FactValue, Journal } from "../journal/types.ts";
import type { Result } from "../ports/errors.ts";

/**
 * What a selftest has to put back, as a fact in the journal: written before the guest is touched and
 * forgotten when the description is back, so it outlives whatever ends the process in between.
 */

const NAMESPACE = "selftest";

export interface SelftestMark {
  readonly kind: GuestKind;
  readonly vmid: number;
  readonly identity: GuestIdentity;
  /** The description as it was; undefined: there was none. */
  readonly original: string | undefined;
  /** What was written in its place. */
  readonly written: string;
  /** RFC 3339. */
  readonly since: string;
}

/** Durable when it resolves. */
export function putMark(journal: Journal, mark: SelftestMark): Promise<Result<void>> {
  const value: Record<string, FactValue> = { kind: mark.kind, identity: { ...mark.identity }, written: mark.written, since: mark.since };
  if (mark.original !== undefined) value["original"] = mark.original;
  return journal.putFact(NAMESPACE, String(mark.vmid), value);
}

/** The description is back. Durable when it resolves. */
export function forgetMark(journal: Journal, vmid: number): Promise<Result<void>> {
  return journal.putFact(NAMESPACE, String(vmid), null);
}

/** What is to be put back; undefined: nothing, or another version wrote it. */
export function markOf(journal: Journal, vmid: number): SelftestMark | undefined {
  const value = journal.fact(NAMESPACE, String(vmid));
  return value === undefined ? undefined : readMark(vmid, value);
}

/** Guests whose description is still to be put back. */
export function markedGuests(journal: Journal): readonly number[] {
  return [...journal.facts(NAMESPACE).keys()].map(Number);
}

/** Undefined for a fact that this version did not write. */
function readMark(vmid: number, value: FactValue): SelftestMark | undefined {
  const fields = new Map(typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : []);
  const [kind, written, original, identity, since] = ["kind", "written", "original", "identity", "since"].map((name) => fields.get(name));
  if ((kind !== "qemu" && kind !== "lxc") || typeof written !== "string") return undefined;
  return {
    kind, vmid, written,
    identity: recordedIdentity(identity),
    original: typeof original === "string" ? original : undefined,
    since: typeof since === "string" ? since : "",
  };
}
