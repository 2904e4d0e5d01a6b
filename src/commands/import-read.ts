import type { ObservedGuest } from "../guest/observed.ts";
import { formatGuestKey, type GuestKey } from "../guest/key.ts";
import { Limiter } from "../lanes/limiter.ts";
import type { Parts } from "../parts.ts";
import { fail, fault, ok, type Result } from "../ports/errors.ts";
import type { HostFacts, HostSnapshot } from "../reconcile/host-snapshot.ts";
import { CONCURRENT_LOOKS_MAX } from "../reconcile/guest-runner.ts";
import { observeGuest, refine } from "../reconcile/observe.ts";
import { bareDeclaration } from "../reconcile/settle.ts";

/** What `agent import` read: guests by vmid, and the facts their plans are made with. */
export interface ReadHost {
  readonly guests: readonly ObservedGuest[];
  readonly facts: HostFacts;
}

/**
 * Reads the named guests of this node, or all of them but `skipped`. All or nothing: a guest that is not
 * here or cannot be read is a fault that names it.
 */
export async function readGuests(parts: Parts, named: ReadonlySet<number>, skipped: ReadonlySet<number>): Promise<Result<ReadHost>> {
  // The snapshot first: on the host it decides whether facts come from files or from the API.
  const snapshot = await parts.source.look();
  if (!snapshot.ok) return snapshot;
  const facts = await parts.source.facts();
  if (!facts.ok) return facts;
  const missing = [...named].filter((vmid) => !snapshot.value.guests.has(vmid));
  if (missing.length > 0) return fail(await missingFault(parts, missing, facts.value.node));
  const wanted = [...snapshot.value.guests.values()]
    .filter(({ vmid }) => (named.size === 0 ? !skipped.has(vmid) : named.has(vmid)))
    .toSorted((left, right) => left.vmid - right.vmid);
  const places = new Limiter(CONCURRENT_LOOKS_MAX);
  const read = await Promise.all(wanted.map(async (guest) => {
    const release = await places.acquire();
    return readOne(parts, guest, snapshot.value, facts.value).finally(() => release?.());
  }));
  const guests: ObservedGuest[] = [];
  for (const one of read) {
    if (!one.ok) return one;
    guests.push(one.value);
  }
  return ok({ guests, facts: facts.value });
}

/** Configuration and status/current: only the latter knows paused guests, locks and HA. */
async function readOne({ api }: Parts, guest: GuestKey, snapshot: HostSnapshot, facts: HostFacts): Promise<Result<ObservedGuest>> {
  const observation = await observeGuest(api, bareDeclaration(guest), snapshot, facts);
  if (observation.kind !== "observed") return unreadable(guest, observation.message);
  const status = await api.readStatus(guest);
  return status.ok ? ok(refine(observation.guest, status.value)) : unreadable(guest, status.error.message);
}

function unreadable(guest: GuestKey, why: string): Result<never> {
  return fault("desired.unreadable", `${formatGuestKey(guest)} cannot be read, so nothing was written: ${why}; name the VMIDs of the others to import them without it`);
}

async function missingFault(parts: Parts, missing: readonly number[], node: string) {
  const located = await parts.source.locate(missing);
  const places = missing.map((vmid) => {
    const other = located.ok ? located.value.get(vmid) : undefined;
    return other === undefined ? `${vmid} is not there` : `${vmid} is on node ${other}`;
  });
  return fault("proxmox.guest_missing", `expected guests of node ${node}, found that ${places.join(", ")}; nothing was written`).error;
}
