import { unreachable } from "../ports/errors.ts";

/**
 * How the work on a key ended, and so when the key is worked on again. One that is stronger stands
 * first: of two that both apply, `strongest` keeps it.
 */
export type WorkResult =
  /** It failed: again after the key's backoff, which grows. */
  | { readonly kind: "error" }
  /** It failed, and trying again cannot help: counted, and not again before something else asks for it. */
  | { readonly kind: "terminal" }
  /**
   * Again after this time. It is no failure: the backoff starts over, unless `keepsFailures` says that
   * it is no success either (what the key waits for is not its own doing).
   */
  | { readonly kind: "requeueAfter"; readonly delayMs: number; readonly keepsFailures?: boolean }
  /** Not finished, and nobody knows when it can be: again after the key's backoff, as after an error. */
  | { readonly kind: "requeue" }
  /** Nothing is left to do; the backoff starts over. */
  | { readonly kind: "done" };

export type WorkResultKind = WorkResult["kind"];

/** Strongest first. */
export const WORK_RESULT_KINDS = ["error", "terminal", "requeueAfter", "requeue", "done"] as const satisfies readonly WorkResultKind[];

/** What a result means for the key. */
export interface Requeue {
  /** What becomes of the count of failures in a row. */
  readonly failures: "count" | "keep" | "forget";
  /** Milliseconds to wait, or until the backoff is over; undefined: not again. */
  readonly again: { readonly afterMs: number } | "backoff" | undefined;
}

/** The stronger of two results of the same work; of two waits the shorter. */
export function strongest(left: WorkResult, right: WorkResult): WorkResult {
  if (left.kind === "requeueAfter" && right.kind === "requeueAfter") {
    const keepsFailures = left.keepsFailures === true || right.keepsFailures === true;
    return { kind: "requeueAfter", delayMs: Math.min(left.delayMs, right.delayMs), ...(keepsFailures ? { keepsFailures } : {}) };
  }
  return WORK_RESULT_KINDS.indexOf(right.kind) < WORK_RESULT_KINDS.indexOf(left.kind) ? right : left;
}

/** What to do with a key whose work ended so. */
export function requeueOf(result: WorkResult): Requeue {
  switch (result.kind) {
    case "error":
    case "requeue":
      return { failures: "count", again: "backoff" };
    case "terminal":
      return { failures: "keep", again: undefined };
    case "requeueAfter":
      return { failures: result.keepsFailures === true ? "keep" : "forget", again: { afterMs: result.delayMs } };
    case "done":
      return { failures: "forget", again: undefined };
    default:
      return unreachable(result);
  }
}
