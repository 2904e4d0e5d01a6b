import type { Action, Deferred } from "../plan/types.ts";

/** The gate's judgement of one field change or act; everything it does not know is not benign. */
export type Classification =
  | { readonly class: "benign" }
  | { readonly class: "guarded" | "destructive"; readonly deferred: Deferred };

declare const approved: unique symbol;

/**
 * An action that passed the gate. Only gate/admit.ts makes one; reconcile/execute.ts takes nothing
 * else. Its changes are exactly those that were judged benign.
 */
export type ApprovedAction = Action & { readonly [approved]: true };

/** What the gate made of a list of planned actions. */
export interface Admission {
  readonly approved: readonly ApprovedAction[];
  readonly deferred: readonly Deferred[];
}
