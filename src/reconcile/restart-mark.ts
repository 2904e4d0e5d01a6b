import { recordedIdentity, type GuestIdentity } from "../guest/identity.ts";
import type { GuestKind } from "../guest/key.ts";
import type { FactValue, Journal } from "../journal/types.ts";
import type { Result } from "../ports/errors.ts";

/**
 * A restart that has been begun, as a fact in the journal: written before the guest is asked to shut
 * down and forgotten when it is up again, so a crash in between leaves no guest switched off.
 */

const NAMESPACE = "restart";

export interface RestartMark {
  readonly kind: GuestKind;
  readonly vmid: number;
  readonly identity: GuestIdentity;
  /** The key of the operation that shuts the guest down, or reboots it. */
  readonly key: string;
  /** RFC 3339; nobody starts the guest for this restart any more after it. */
  readonly keyExpiresAt: string;
}

/** Durable when it resolves. */
export function putRestartMark(journal: Journal, { kind, vmid, identity, key, keyExpiresAt }: RestartMark): Promise<Result<void>> {
  return journal.putFact(NAMESPACE, String(vmid), { kind, identity: { ...identity }, key, keyExpiresAt });
}

/** The restart is over. Durable when it resolves. */
export function forgetRestartMark(journal: Journal, vmid: number): Promise<Result<void>> {
  return journal.putFact(NAMESPACE, String(vmid), null);
}

/** The guest's restart that has been begun; undefined: there is none, or another version wrote it. */
export function restartMarkOf(journal: Journal, vmid: number): RestartMark | undefined {
  const value = journal.fact(NAMESPACE, String(vmid));
  return value === undefined ? undefined : readMark(vmid, value);
}

/** Guests with a restart that has been begun and is not known to be over. */
export function restartMarkedGuests(journal: Journal): readonly number[] {
  return [...journal.facts(NAMESPACE).keys()].map(Number);
}

/** Undefined for a fact that this version did not write. */
function readMark(vmid: number, value: FactValue): RestartMark | undefined {
  const fields = new Map(typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : []);
  const [kind, key, keyExpiresAt, identity] = ["kind", "key", "keyExpiresAt", "identity"].map((name) => fields.get(name));
  if ((kind !== "qemu" && kind !== "lxc") || typeof key !== "string" || typeof keyExpiresAt !== "string") return undefined;
  return { kind, vmid, key, keyExpiresAt, identity: recordedIdentity(identity) };
}
