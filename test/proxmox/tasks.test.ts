import { describe, expect, test } from "bun:test";
import type { ProxmoxFault, ProxmoxResult, TaskState } from "../../src/ports/proxmox-api.ts";
import { awaitTask, type TaskEnd } from "../../src/proxmox/tasks.ts";
import { FakeClock } from "../support/fake-clock.ts";

const UPID = "UPID:pve1:00000C7E:0005CF07:6B00ED3B:qmshutdown:101:root@pam!agent:";
const RUNNING: ProxmoxResult<TaskState> = { ok: true, value: { isRunning: true } };
const DONE: ProxmoxResult<TaskState> = { ok: true, value: { isRunning: false, verdict: "succeeded", exit: "OK" } };

const SPECIFICS = { parameters: {}, missing: "", lock: "", isReadOnlyCluster: false };

function failing(code: ProxmoxFault["code"], specifics: Partial<typeof SPECIFICS> = {}): ProxmoxResult<TaskState> {
  return { ok: false, error: { code, message: "no", delivery: "answered", ...SPECIFICS, ...specifics } as ProxmoxFault };
}
const NO_SUCH_TASK = failing("proxmox.bad_parameter", { parameters: { upid: "no such task" } });

/** Waits for a task whose states are given in order, the last one for ever; when it was asked, and how that ended. */
async function wait(states: readonly ProxmoxResult<TaskState>[], timeoutMs = 60_000): Promise<{ end: TaskEnd; askedMs: number[] }> {
  const clock = new FakeClock();
  const askedMs: number[] = [];
  const api = {
    taskState: async (upid: string) => {
      expect(upid).toBe(UPID);
      askedMs.push(clock.monotonic());
      return states[Math.min(askedMs.length, states.length) - 1] ?? RUNNING;
    },
  };
  const work = awaitTask(api, UPID, { clock, timeoutMs });
  await clock.advance(timeoutMs + 1);
  return { end: await work, askedMs };
}

test("a task that has ended is asked for once", async () => {
  expect(await wait([DONE])).toEqual({ end: { type: "finished", verdict: "succeeded", exit: "OK" }, askedMs: [0] });
});

test("the waits grow from 100 ms to 2 s, and the last one ends with the time (row R9)", async () => {
  const { end, askedMs } = await wait([RUNNING], 12_000);
  expect(end).toEqual({ type: "timed_out" });
  const waits = askedMs.slice(1).map((at, index) => at - (askedMs[index] ?? 0));
  expect(waits.slice(0, 8).map(Math.round)).toEqual([100, 150, 225, 338, 506, 759, 1139, 1709]);
  expect(Math.max(...waits)).toBe(2_000);
  expect(askedMs.at(-1)).toBe(12_000);
});

describe("outages are waited out", () => {
  test.each(["proxmox.unreachable", "proxmox.no_answer", "proxmox.transient", "proxmox.untrusted", "proxmox.unauthenticated"] as const)("%s", async (code) => {
    const lost = Array.from({ length: 12 }, () => failing(code));
    expect((await wait([RUNNING, ...lost, DONE])).end).toEqual({ type: "finished", verdict: "succeeded", exit: "OK" });
    expect((await wait([RUNNING, failing(code)])).end).toMatchObject({ type: "unreadable", error: { code } });
  });
});

describe("a task that does not exist (row R11)", () => {
  test("is waited for just after it was started", async () => {
    expect((await wait([NO_SUCH_TASK, NO_SUCH_TASK, NO_SUCH_TASK, DONE])).end).toMatchObject({ type: "finished" });
  });

  test("is unreadable when it still does not exist after 5 s", async () => {
    const { end, askedMs } = await wait([NO_SUCH_TASK]);
    expect(end).toMatchObject({ type: "unreadable", error: { code: "proxmox.bad_parameter" } });
    expect(askedMs.at(-1)).toBeGreaterThanOrEqual(5_000);
    expect(askedMs.at(-1)).toBeLessThan(7_000);
  });
});

test.each(["proxmox.forbidden", "proxmox.bad_parameter"] as const)("%s will not change: unreadable at once", async (code) => {
  expect(await wait([failing(code)])).toMatchObject({ end: { type: "unreadable", error: { code } }, askedMs: [0] });
});

test("answers that make no sense are tolerated four times in a row, not five", async () => {
  const odd = failing("proxmox.unexpected_answer");
  expect((await wait([odd, odd, odd, odd, RUNNING, odd, odd, odd, odd, DONE])).end).toMatchObject({ type: "finished" });
  expect((await wait([odd])).askedMs).toHaveLength(5);
});

test("an abort ends the wait at once, and says so", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const work = awaitTask({ taskState: async () => RUNNING }, UPID, { clock, timeoutMs: 60_000, signal: stop.signal });
  await clock.advance(1_000);
  stop.abort();
  expect(await work).toEqual({ type: "aborted" });
  expect(clock.pendingTimers()).toBe(0);
});
