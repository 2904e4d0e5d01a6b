/**
 * Seeds that found something once, kept for ever, run before any others. A change of timing makes another run
 * of the same seed: what was found has its own story in test/reconcile/simulation-found.test.ts.
 */
export interface FoundSeed {
  readonly seed: number;
  readonly steps: number;
  readonly found: string;
}

export const FOUND: readonly FoundSeed[] = [
  { seed: 1020, steps: 2_000, found: "a guest was acted upon that had been paused while it was being read" },
  { seed: 1172, steps: 2_000, found: "a guest was started that had been paused while its status was being read" },
  { seed: 60_319, steps: 2_000, found: "a guest was restarted that had been paused while the restart was being marked" },
  { seed: 70_165, steps: 2_000, found: "a journal came back while a guest was being read, and an act was sent beside an open one" },
  { seed: 70_232, steps: 2_000, found: "a restart's start that no journal could record was sent again after its answer was lost" },
  { seed: 70_486, steps: 2_000, found: "a jump of the wall clock shortened the settle window of an act of an earlier process" },
];
