import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Lanes, type JobOutcome, type Submission } from "../../src/lanes/lanes.ts";
import type { Result } from "../../src/ports/errors.ts";
import { FakeClock } from "../support/fake-clock.ts";

function setup() {
  const clock = new FakeClock();
  return { clock, lanes: new Lanes({ clock }) };
}

function taken<T>(result: Result<Submission<T>>): Promise<JobOutcome<T>> {
  if (!result.ok) throw new Error(result.error.message);
  return result.value.done;
}

/** A job that never ends by itself. */
function hanging() {
  const { promise, resolve } = Promise.withResolvers<string>();
  return { run: () => promise, end: () => resolve("ended") };
}

function codeOf(outcome: JobOutcome<unknown>): unknown {
  return !outcome.ok && typeof outcome.error === "object" && outcome.error !== null && "code" in outcome.error ? outcome.error.code : undefined;
}

describe("closing", () => {
  test("with nothing to do it is over at once and arms no timer", async () => {
    const { clock, lanes } = setup();
    expect(await lanes.close({ timeoutMs: 60_000 })).toEqual([]);
    expect(clock.pendingTimers()).toBe(0);
  });

  test("new jobs are refused from then on, and say so", async () => {
    const { lanes } = setup();
    await lanes.close({ timeoutMs: 0 });
    const late = lanes.submit(101, () => "never");
    expect(late.ok ? "" : late.error.code).toBe("lane.closed");
    expect(late.ok ? "" : late.error.message).toContain("guest 101");
  });

  test("what runs and what waits is finished first (client-go: TestQueueDrainageUsingShutDownWithDrain)", async () => {
    const { clock, lanes } = setup();
    const running = hanging();
    const outcomes = [taken(lanes.submit(101, running.run)), taken(lanes.submit(101, () => "waited"))];
    const closing = lanes.close({ timeoutMs: 60_000 });
    await clock.advance(1_000);
    running.end();
    expect(await closing).toEqual([]);
    expect(await Promise.all(outcomes)).toEqual([{ ok: true, value: "ended" }, { ok: true, value: "waited" }]);
    expect(clock.pendingTimers()).toBe(0);
  });

  test("after the time is up what waits is dropped, what runs goes on, and both are told", async () => {
    const { clock, lanes } = setup();
    const [first, second] = [hanging(), hanging()];
    const running = [taken(lanes.submit(102, second.run)), taken(lanes.submit(101, first.run))];
    const waiting = [taken(lanes.submit(101, () => "a")), taken(lanes.submit(101, () => "b"))];
    const closing = lanes.close({ timeoutMs: 5_000 });
    await clock.advance(5_000);
    expect(await closing).toEqual([
      { vmid: 101, dropped: 2, isRunning: true },
      { vmid: 102, dropped: 0, isRunning: true },
    ]);
    expect((await Promise.all(waiting)).map(codeOf)).toEqual(["lane.closed", "lane.closed"]);
    expect(lanes.depth()).toBe(2);
    first.end();
    second.end();
    expect(await Promise.all(running)).toEqual([{ ok: true, value: "ended" }, { ok: true, value: "ended" }]);
    expect([lanes.depth(), lanes.activeLanes()]).toEqual([0, 0]);
  });

  test("a second, shorter close forces the first one's hand (client-go: TestForceQueueShutdownUsingShutDown)", async () => {
    const { clock, lanes } = setup();
    const running = hanging();
    const outcome = taken(lanes.submit(101, running.run));
    const waiting = taken(lanes.submit(101, () => "never"));
    const patient = lanes.close({ timeoutMs: 60_000 });
    const forced = lanes.close({ timeoutMs: 0 });
    await clock.advance(0);
    expect(await forced).toEqual([{ vmid: 101, dropped: 1, isRunning: true }]);
    expect(codeOf(await waiting)).toBe("lane.closed");
    running.end();
    expect(await outcome).toEqual({ ok: true, value: "ended" });
    expect(await patient).toEqual([]);
  });

  test("jobs that a draining job submits are refused: the end stays in sight", async () => {
    const { clock, lanes } = setup();
    const running = hanging();
    let late: string | undefined;
    const outcome = taken(
      lanes.submit(101, async () => {
        await running.run();
        const result = lanes.submit(101, () => "never");
        late = result.ok ? "taken" : result.error.code;
      }),
    );
    const closing = lanes.close({ timeoutMs: 1_000 });
    await clock.advance(10);
    running.end();
    await outcome;
    expect(late).toBe("lane.closed");
    expect(await closing).toEqual([]);
  });

  test("a job dropped between becoming ready and its start does not disturb anything", async () => {
    const { clock, lanes } = setup();
    // Submitted and closed in one turn: the lane is ready, its job has not started.
    const dropped = taken(lanes.submit(101, () => "ran"));
    const closing = lanes.close({ timeoutMs: 0 });
    await clock.advance(0);
    const [report, outcome] = await Promise.all([closing, dropped]);
    expect(outcome.ok || codeOf(outcome) === "lane.closed").toBe(true);
    expect(report.length).toBe(outcome.ok ? 0 : 1);
    expect(lanes.depth()).toBe(0);
  });

  test("whenever it comes, every job has an outcome and none hangs (controller-runtime #3239, #3538)", async () => {
    const plan = fc.record({
      vmids: fc.array(fc.integer({ min: 100, max: 103 }), { minLength: 1, maxLength: 20 }),
      closeAfter: fc.nat({ max: 20 }),
      timeoutMs: fc.constantFrom(0, 5, 1_000),
      jobMs: fc.constantFrom(0, 3, 10),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ vmids, closeAfter, timeoutMs, jobMs }) => {
        const { clock, lanes } = setup();
        const outcomes: Promise<JobOutcome<void>>[] = [];
        let refused = 0;
        let closing: Promise<readonly unknown[]> | undefined;
        for (const [index, vmid] of vmids.entries()) {
          if (index === closeAfter) closing = lanes.close({ timeoutMs });
          const submitted = lanes.submit(vmid, () => (jobMs === 0 ? undefined : clock.sleep(jobMs)));
          if (submitted.ok) outcomes.push(submitted.value.done);
          else refused++;
        }
        closing ??= lanes.close({ timeoutMs });
        await clock.advance(2_000);
        await Promise.all([closing, ...outcomes]);
        expect(outcomes.length + refused).toBe(vmids.length);
        expect([lanes.depth(), lanes.activeLanes(), clock.pendingTimers()]).toEqual([0, 0, 0]);
      }),
      { numRuns: 40 },
    );
  });
});
