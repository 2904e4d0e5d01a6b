import type { DesiredGuest } from "../desired/model.ts";
import type { DeclaredValue } from "../guest/declared.ts";
import type { ObservedGuest, RawConfig, RawValue } from "../guest/observed.ts";
import { normalizerFor } from "../normalize/registry.ts";
import type { FieldNormalizer, NormalForm, NormalizeContext } from "../normalize/types.ts";
import { appliesWhen } from "./hot-applied.ts";
import type { PlanFacts } from "./input.ts";
import { compareKeys, isNetworkKey, isSecretKey, isServerOwned, shownForm, storedKey } from "./keys.ts";
import { versionProblem } from "./needed-version.ts";
import type { Deferred, FieldChange, PendingField } from "./types.ts";
import { deferVolume, isVolumeKey } from "./volumes.ts";

/** What became of the declared keys of one guest, each list in key order. */
export interface ConfigDiff {
  readonly changes: readonly FieldChange[];
  readonly deferred: readonly Deferred[];
  readonly restartPending: readonly PendingField[];
}

interface Collected {
  readonly changes: FieldChange[];
  readonly deferred: Deferred[];
  readonly restartPending: PendingField[];
}

/** One guest as its fields are compared. */
interface Comparison {
  readonly observed: ObservedGuest;
  readonly facts: PlanFacts;
  /** The values that a field's default may depend on (absent balloon means memory). */
  readonly siblings: RawConfig;
  readonly into: Collected;
}

/**
 * Compares every declared key with the pending-merged view, in normal forms. A declared value that is
 * already pending is only reported; a foreign pending value that differs is a change like any other.
 */
export function diffConfig(desired: DesiredGuest, observed: ObservedGuest, facts: PlanFacts): ConfigDiff {
  const first = diffAgainst(desired, observed, facts, observed.config.merged);
  if (first.changes.length === 0) return first;
  // What an absent key means may change with the keys that are about to: look again from there, or
  // the plan after this one would not be empty.
  return diffAgainst(desired, observed, facts, afterChanges(observed.config.merged, first.changes));
}

function diffAgainst(desired: DesiredGuest, observed: ObservedGuest, facts: PlanFacts, siblings: RawConfig): ConfigDiff {
  const comparison: Comparison = { observed, facts, siblings, into: { changes: [], deferred: [], restartPending: [] } };
  for (const key of Object.keys(desired.config)) {
    const declared = desired.config[key];
    if (declared !== undefined) diffField(key, declared, comparison);
  }
  // What came out is sorted, not what went in: nearly always it is nothing.
  return {
    changes: inKeyOrder(comparison.into.changes),
    deferred: inKeyOrder(comparison.into.deferred),
    restartPending: inKeyOrder(comparison.into.restartPending),
  };
}

function inKeyOrder<T extends { readonly key: string }>(fields: readonly T[]): readonly T[] {
  return fields.length < 2 ? fields : fields.toSorted((left, right) => compareKeys(left.key, right.key));
}

function afterChanges(merged: RawConfig, changes: readonly FieldChange[]): RawConfig {
  const after: Record<string, RawValue> = { ...merged };
  for (const change of changes) {
    if (change.send === undefined) delete after[change.key];
    else after[change.key] = change.send;
  }
  return after;
}

function diffField(key: string, declared: DeclaredValue, comparison: Comparison): void {
  const { observed, into } = comparison;
  if (isServerOwned(key)) return isMet(key, declared, comparison) ? undefined : diffServerOwned(key, declared, observed, into);
  const found = observed.config.merged[storedKey(observed.kind, key)];
  // What is there is literally what was declared: no normalizer could say otherwise. The usual case.
  if (isLiterally(declared, found) && observed.config.pending.length === 0) return;
  compareField(key, declared, comparison);
}

function compareField(key: string, declared: DeclaredValue, comparison: Comparison): void {
  const { observed, into } = comparison;
  const found = observed.config.merged[storedKey(observed.kind, key)];
  const normalizer = normalizerFor(observed.kind, key);
  const context = contextOf(key, comparison);
  const wanted = normalizer.merge(declared, context);
  if (!wanted.ok) {
    into.deferred.push(invalidValue(key, declared, formOf(found, normalizer, context), wanted.error.message));
    return;
  }
  // Merging gave back what is there: the forms need not be computed to be equal. The usual case again.
  if (isLiterally(wanted.value, found) && observed.config.pending.length === 0) return;
  // Proxmox stores an empty value as one blank that means "absent" (docs/proxmox.md row 1): delete instead.
  const send = wanted.value === null || wanted.value === "" ? undefined : wanted.value;
  const declaredForm = formOf(send, normalizer, context);
  const foundForm = formOf(found, normalizer, context);
  if (declaredForm === foundForm) return collectPending(key, declaredForm, normalizer, context, comparison);
  const change: FieldChange = {
    key,
    change: send === undefined ? "delete" : "set",
    declared: declaredForm,
    found: foundForm,
    foundRaw: textOf(found),
    send,
    applies: appliesWhen(observed.kind, { key, send }, observed.runState, observed.config.running),
  };
  const tooNew = send === undefined ? undefined : versionProblem(observed.kind, key, declared, found, comparison.facts.pveVersion);
  if (tooNew !== undefined) into.deferred.push({ ...invalidValue(key, declared, foundForm, ""), message: tooNew });
  else if (isVolumeKey(observed.kind, key)) into.deferred.push(deferVolume(observed, change));
  else if (wouldOutliveDeletion(change, observed)) into.deferred.push(deferDeletion(change, observed));
  else into.changes.push(change);
}

function formOf(raw: RawValue | undefined, normalizer: FieldNormalizer, context: NormalizeContext): NormalForm {
  return raw === undefined ? null : normalizer.normalize(raw, context);
}

function contextOf(key: string, { observed, facts, siblings }: Comparison): NormalizeContext {
  return {
    kind: observed.kind,
    tagStyle: facts.tagStyle,
    pveVersion: facts.pveVersion,
    observed: observed.config.merged[storedKey(observed.kind, key)] ?? keptHardware(key, observed),
    siblings,
  };
}

/**
 * A NIC that somebody deleted but that the running guest still has: its hardware address is laid under
 * the declared value, so that declaring the NIC gives it back and not a new one (docs/proxmox.md row 23).
 */
function keptHardware(key: string, observed: ObservedGuest): RawValue | undefined {
  return isNetworkKey(key) ? observed.config.running[key] : undefined;
}

function collectPending(
  key: string, declaredForm: NormalForm, normalizer: FieldNormalizer, context: NormalizeContext, { observed, into }: Comparison,
): void {
  const stored = storedKey(observed.kind, key);
  const change = observed.config.pending.find((candidate) => candidate.key === stored);
  if (change === undefined) return;
  const running = observed.config.running[stored];
  const runningForm = formOf(running, normalizer, { ...context, siblings: observed.config.running });
  // Written differently, meaning the same: a restart would change nothing.
  if (runningForm === declaredForm) return;
  into.restartPending.push({ key, running: textOf(running), pending: change.change === "set" ? textOf(change.value) : undefined });
}

/** What only Proxmox writes may be declared as it is, in any spelling (docs/proxmox.md row 60: `vmgenid: 1`). */
function isMet(key: string, declared: DeclaredValue, comparison: Comparison): boolean {
  const { kind, config } = comparison.observed;
  const normalizer = normalizerFor(kind, key);
  const context = contextOf(key, comparison);
  const wanted = normalizer.merge(declared, context);
  return wanted.ok && formOf(wanted.value ?? undefined, normalizer, context) === formOf(config.merged[storedKey(kind, key)], normalizer, context);
}

function diffServerOwned(key: string, declared: DeclaredValue, observed: ObservedGuest, into: Collected): void {
  const found = key === "digest" ? observed.config.digest : observed.config.merged[storedKey(observed.kind, key)];
  if (declared === null ? found === undefined : isLiterally(declared, found)) return;
  into.deferred.push({
    key,
    reason: "server_owned",
    declared: describeDeclared(declared),
    found: textOf(found) ?? null,
    message: `${key} is written by Proxmox itself and cannot be declared; remove it from the desired state`,
  });
}

/**
 * Deleting a container's key leaves a pending value of it standing, which is applied after the deletion: sent, the
 * deletion would be asked for again for ever. Of a VM Proxmox drops the pending value (docs/proxmox.md "Reading").
 */
function wouldOutliveDeletion(change: FieldChange, { kind, config }: ObservedGuest): boolean {
  if (kind !== "lxc" || change.change !== "delete") return false;
  return config.pending.some((pending) => pending.key === change.key && pending.change === "set");
}

function deferDeletion({ key, declared, found }: FieldChange, { vmid }: ObservedGuest): Deferred {
  return {
    key,
    reason: "invalid_value",
    declared,
    found: shownForm(key, found),
    message: `${key}: expected absent, found a pending value, which a deletion would leave standing; "pct set ${vmid} --revert ${key}" drops it, or a restart of the container applies it, after which it can be deleted`,
  };
}

function invalidValue(key: string, declared: DeclaredValue, found: NormalForm, message: string): Deferred {
  return {
    key,
    reason: "invalid_value",
    declared: shownForm(key, describeDeclared(declared)),
    found: shownForm(key, found),
    // A normalizer's message quotes the value, which must not be shown for a secret.
    message: isSecretKey(key) ? `${key}: the declared value cannot be written; correct it in the desired state` : `${key}: ${message}`,
  };
}

/** Numbers and their text mean the same to Proxmox (docs/proxmox.md row 4); maps and lists never match here. */
function isLiterally(declared: DeclaredValue, found: RawValue | undefined): boolean {
  if (found === undefined) return false;
  return declared === found || ((typeof declared === "string" || typeof declared === "number") && String(declared) === String(found));
}

function textOf(value: RawValue | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

/** A declared value as text, for people; a map's sub-keys sorted, since their order is nothing that was declared. */
function describeDeclared(declared: DeclaredValue): NormalForm {
  if (declared === null) return null;
  if (typeof declared !== "object") return String(declared);
  return JSON.stringify(Array.isArray(declared) ? declared : Object.fromEntries(Object.entries(declared).sort(([left], [right]) => compareKeys(left, right))));
}
