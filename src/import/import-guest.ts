import type { DesiredGuest } from "../desired/model.ts";
import type { DeclaredValue } from "../guest/declared.ts";
import { formatGuestKey, type GuestKey } from "../guest/key.ts";
import type { ObservedGuest, RawValue } from "../guest/observed.ts";
import { checkEntry } from "../parameters/check-config.ts";
import { diffConfig } from "../plan/field-diff.ts";
import type { PlanFacts } from "../plan/input.ts";
import { compareKeys } from "../plan/keys.ts";
import { formsOf } from "./forms.ts";
import { mayHoldSecrets, reasonToLeaveOut, type LeftOutKey } from "./left-out.ts";
import { isReadBackAlike } from "./yaml-text.ts";

/**
 * This room turns a guest as it is into a declaration of it. Pure. Promises: planning what it wrote
 * against what it read gives nothing to do, for every form it chose was planned first; nothing that may
 * be a secret is written; what is left out is named with its reason. How guests are read is left to
 * reconcile/, where texts go to commands/.
 */

export interface ImportOptions {
  /** `mode: observe` instead of the default. */
  readonly isObserved: boolean;
  /** Whether the run state is declared as it was found. */
  readonly hasState: boolean;
}

/** A guest as it would be declared. */
export interface ImportedGuest {
  readonly guest: GuestKey;
  readonly name: string | undefined;
  readonly mode: "enforce" | "observe";
  readonly state: "running" | "stopped" | undefined;
  /** In the order in which it is written. */
  readonly config: Readonly<Record<string, DeclaredValue>>;
  readonly leftOut: readonly LeftOutKey[];
  /** What a reader should know besides: locked, pending values, why there is no state. One line each. */
  readonly notes: readonly string[];
}

/** Declares `observed` as it is. `facts`: what the plan of it will be made with. */
export function importGuest(observed: ObservedGuest, facts: PlanFacts, options: ImportOptions): ImportedGuest {
  const mode = options.isObserved ? "observe" : "enforce";
  const bare: DesiredGuest = { kind: observed.kind, vmid: observed.vmid, mode, state: undefined, config: {}, position: { file: formatGuestKey(observed), line: 0, column: 0 } };
  const config: Record<string, DeclaredValue> = {};
  const leftOut: LeftOutKey[] = [];
  for (const [key, raw] of Object.entries(observed.config.merged).toSorted(inWrittenOrder)) {
    if (String(raw).trim() === "") continue; // the same as absent (docs/proxmox.md row 1)
    const reason = reasonToLeaveOut(observed.kind, key);
    const form = reason === undefined ? silentForm(bare, observed, facts, key, raw) : undefined;
    if (form === undefined) leftOut.push({ key, reason: reason ?? "not_writable", found: raw });
    else config[key] = form;
  }
  const run = options.hasState ? runStateOf(observed) : { state: undefined, note: undefined };
  return {
    guest: { kind: observed.kind, vmid: observed.vmid },
    name: observed.name,
    mode,
    state: run.state,
    config,
    leftOut,
    notes: [lockNote(observed), run.note, pendingNote(observed)].filter((note) => note !== undefined),
  };
}

/** The friendliest form that plans to nothing, survives being written and is taken when it is read again; undefined when there is none. */
function silentForm(bare: DesiredGuest, observed: ObservedGuest, facts: PlanFacts, key: string, raw: RawValue): DeclaredValue | undefined {
  return formsOf(observed.kind, key, raw).find((form) => {
    if (!isReadBackAlike(form) || checkEntry(observed.kind, key, form).length > 0) return false;
    const diff = diffConfig({ ...bare, config: { [key]: form } }, observed, facts);
    return diff.changes.length === 0 && diff.deferred.length === 0;
  });
}

/** What says most about a guest stands first. */
const FIRST_KEYS = ["name", "hostname", "description", "tags"];

function inWrittenOrder([left]: readonly [string, RawValue], [right]: readonly [string, RawValue]): number {
  const rank = (key: string): number => (FIRST_KEYS.includes(key) ? FIRST_KEYS.indexOf(key) : FIRST_KEYS.length);
  return rank(left) - rank(right) || compareKeys(left, right);
}

/** The state to declare; the note says why there is none where somebody else decides, or nobody knows. */
function runStateOf(observed: ObservedGuest): { readonly state: ImportedGuest["state"]; readonly note: string | undefined } {
  const { runState, ha } = observed;
  if (observed.isTemplate) return { state: undefined, note: "A template; state is left out: templates are never started." };
  if (ha?.isManaged === true && ha.state !== "ignored") return { state: undefined, note: "state is left out: Proxmox's HA manager decides whether it runs." };
  if (runState === "running" || runState === "stopped") return { state: runState, note: undefined };
  return { state: undefined, note: `state is left out: it was ${runState} when it was read.` };
}

function lockNote({ lock }: ObservedGuest): string | undefined {
  return lock === undefined ? undefined : `Locked by Proxmox (${lock}) when it was read.`;
}

/** Longest piece of a pending value that is shown, in characters. */
const PENDING_SHOWN_MAX = 60;

function pendingNote({ kind, config }: ObservedGuest): string | undefined {
  // Proxmox lists the deletion of what is not there, too.
  const real = config.pending.filter((change) => change.change === "set" || config.running[change.key] !== undefined);
  const changes = real.map((change) => {
    if (mayHoldSecrets(kind, change.key)) return change.key;
    return `${change.key} ${shown(config.running[change.key])} -> ${shown(change.change === "set" ? change.value : undefined)}`;
  });
  return changes.length === 0 ? undefined : `Pending in Proxmox until the next restart, and written as it will be then: ${changes.join("; ")}.`;
}

function shown(value: RawValue | undefined): string {
  const text = value === undefined ? "absent" : String(value);
  return text.length > PENDING_SHOWN_MAX ? `${text.slice(0, PENDING_SHOWN_MAX)}…` : text;
}
