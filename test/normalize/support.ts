import type { DeclaredValue } from "../../src/guest/declared.ts";
import { DEFAULT_TAG_STYLE } from "../../src/guest/host-facts.ts";
import type { GuestKind } from "../../src/guest/key.ts";
import type { RawValue } from "../../src/guest/observed.ts";
import { normalizerFor } from "../../src/normalize/registry.ts";
import type { NormalForm, NormalizeContext } from "../../src/normalize/types.ts";

export type Extra = Partial<Omit<NormalizeContext, "kind" | "observed">>;

export function contextOf(kind: GuestKind, observed?: RawValue, extra: Extra = {}): NormalizeContext {
  return { kind, observed, tagStyle: DEFAULT_TAG_STYLE, pveVersion: { major: 9, minor: 2, patch: 11 }, ...extra };
}

/** The normal form of what is there. */
export function formOf(kind: GuestKind, key: string, raw: RawValue | undefined, extra?: Extra): NormalForm {
  return raw === undefined ? null : normalizerFor(kind, key).normalize(raw, contextOf(kind, raw, extra));
}

/** What would be written for `declared` over `observed`; throws what was refused. */
export function merged(kind: GuestKind, key: string, declared: DeclaredValue, observed?: RawValue, extra?: Extra): string | null {
  const result = normalizerFor(kind, key).merge(declared, contextOf(kind, observed, extra));
  if (!result.ok) throw new Error(`refused: ${result.error.message}`);
  return result.value;
}

/** Why `declared` cannot be written; throws when it can. */
export function refusal(kind: GuestKind, key: string, declared: DeclaredValue, observed?: RawValue, extra?: Extra): string {
  const result = normalizerFor(kind, key).merge(declared, contextOf(kind, observed, extra));
  if (result.ok) throw new Error(`accepted: ${result.value}`);
  if (result.error.code !== "normalize.invalid") throw new Error(`other code: ${result.error.code}`);
  return result.error.message;
}

/** The planner's comparison: does declaring this over that ask for a change? */
export function isDrift(kind: GuestKind, key: string, declared: DeclaredValue, observed?: RawValue, extra?: Extra): boolean {
  const send = merged(kind, key, declared, observed, extra);
  const context = contextOf(kind, observed, extra);
  const wanted = send === null ? null : normalizerFor(kind, key).normalize(send, context);
  return wanted !== formOf(kind, key, observed, extra);
}
