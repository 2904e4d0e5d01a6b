import { SETTLE_MS } from "../../src/desired/directory-scan.ts";
import { FakeClock } from "../support/fake-clock.ts";

/** Stands still at a time when every file that is written now has rested. */
export const restedClock = () => new FakeClock(Date.now() + 3_600_000);

/** Lets real file operations go on until `isTrue`. */
export async function untilTrue(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Moves the fake clock whenever something waits for it, until `work` is done. */
export async function settleUntil(clock: FakeClock, work: Promise<unknown>): Promise<void> {
  let isDone = false;
  void work.finally(() => (isDone = true));
  while (!isDone) {
    await untilTrue(() => isDone || clock.pendingTimers() > 0);
    await clock.advance(SETTLE_MS);
  }
}
