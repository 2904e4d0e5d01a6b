import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Slots } from "../../src/proxmox/slots.ts";

const never = new AbortController().signal;

describe("slots", () => {
  test.each([0, -1, 1.5, Number.NaN])("%p of them is a programmer's error", (count) => {
    expect(() => new Slots(count)).toThrow("positive integer");
  });

  test("a caller that has given up already gets none, and takes none", async () => {
    const slots = new Slots(1);
    const gone = new AbortController();
    gone.abort();
    expect(await slots.acquire(gone.signal)).toBe("aborted");
    expect(await slots.acquire(never)).toBe("acquired");
  });

  test("whoever gives up while waiting is passed over, and its place in the queue is free again", async () => {
    const slots = new Slots(1);
    await slots.acquire(never);
    const impatient = new AbortController();
    const first = slots.acquire(impatient.signal);
    const second = slots.acquire(never);
    impatient.abort();
    expect(await first).toBe("aborted");
    slots.release();
    expect(await second).toBe("acquired");
    // Nobody waits: the slot is free, not handed to the one that left.
    slots.release();
    expect(await slots.acquire(never)).toBe("acquired");
  });

  test("any mix of coming, leaving and releasing serves those who stay, in order, never more at once than there are slots", async () => {
    const steps = fc.array(fc.oneof(fc.constant("come" as const), fc.constant("release" as const), fc.record({ leave: fc.nat(30) })), { maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), steps, async (count, script) => {
        const slots = new Slots(count);
        const callers: { signal: AbortController; state: "waiting" | "acquired" | "aborted" | "full" }[] = [];
        const served: number[] = [];
        let held = 0;
        for (const step of script) {
          if (step === "come") {
            const caller = { signal: new AbortController(), state: "waiting" as const };
            const index = callers.push(caller) - 1;
            void slots.acquire(caller.signal.signal).then((outcome) => {
              Object.assign(caller, { state: outcome });
              if (outcome !== "acquired") return;
              served.push(index);
              held++;
            });
          } else if (step === "release") {
            if (held === 0) continue;
            held--;
            slots.release();
          } else callers[step.leave]?.signal.abort();
          await new Promise<void>((resolve) => setImmediate(resolve));
          expect(held).toBeLessThanOrEqual(count);
          expect(held === count || callers.every(({ state }) => state !== "waiting")).toBeTrue();
        }
        expect(served).toEqual(served.toSorted((a, b) => a - b));
      }),
      { numRuns: 60 },
    );
  });
});
