import { describe, expect, test } from "bun:test";
import type { MutatingRequest } from "../../src/ports/proxmox-api.ts";
import type { SelftestReport } from "../../src/reconcile/selftest.ts";
import type { Result } from "../../src/ports/errors.ts";
import { faults } from "../support/proxmox-faults.ts";
import { WINDOW_MS, agentOver, type TestAgent } from "./agent-fixture.ts";

/** The selftest against a Proxmox that answers with tasks, loses answers and changes under its hands. */

const OLD = "Front web";

function started(): Promise<TestAgent> {
  return agentOver([], (proxmox) => proxmox.add(101, { config: { description: OLD } }));
}

/** Lets time pass until the test is over. */
async function tested(agent: TestAgent): Promise<Result<SelftestReport>> {
  let result: Result<SelftestReport> | undefined;
  void agent.engine.selftest(101).then((value) => (result = value));
  for (let seconds = 0; seconds < 300 && result === undefined; seconds++) await agent.run(1_000);
  if (result === undefined) throw new Error("the selftest does not end");
  return result;
}

async function reportOf(agent: TestAgent): Promise<SelftestReport> {
  const result = await tested(agent);
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

/** Config writes are done by a task, as a POST would have it; `end` says how each ends, undefined: never. */
function withTasks(agent: TestAgent, end: (count: number) => string | undefined): void {
  const { proxmox } = agent;
  const mutate = proxmox.mutate.bind(proxmox);
  let count = 0;
  proxmox.mutate = async (request: MutatingRequest) => {
    const answer = await mutate(request);
    if (!answer.ok) return answer;
    const upid = proxmox.runTask({ type: "qmconfig", vmid: request.guest.vmid });
    const exit = end(count++);
    if (exit !== undefined) agent.clock.schedule(400, () => proxmox.endTask(upid, exit));
    return { ok: true, value: { upid } };
  };
}

const description = (agent: TestAgent): unknown => agent.proxmox.config(101)["description"];

describe("a selftest", () => {
  test("waits for the tasks of both writes and names them", async () => {
    const agent = await started();
    withTasks(agent, () => "OK");
    const report = await reportOf(agent);
    expect([report.isPassed, description(agent), agent.proxmox.violations]).toEqual([true, OLD, []]);
    const write = report.steps.find(({ step }) => step === "write and wait");
    expect(write?.detail).toMatch(/^task UPID:pve1:.*:qmconfig:101:/);
    expect(write?.milliseconds).toBeGreaterThanOrEqual(400);
    expect(agent.operations()).toEqual(["set_config 101 succeeded", "set_config 101 succeeded"]);
  });

  test("fails when the task does, and puts back what it had written all the same", async () => {
    const agent = await started();
    withTasks(agent, (count) => (count === 0 ? "it broke" : "OK"));
    const report = await reportOf(agent);
    expect([report.isPassed, report.isRestored, description(agent)]).toEqual([false, true, OLD]);
  });

  test("whose write got no answer is failed, and restored once it is known what happened", async () => {
    for (const happens of ["never", "before"] as const) {
      const agent = await started();
      agent.proxmox.loseAnswer(101, { happens });
      const report = await reportOf(agent);
      expect([report.isPassed, report.isRestored, description(agent), agent.proxmox.violations]).toEqual([false, true, OLD, []]);
      expect(report.steps.at(-1)?.milliseconds).toBeGreaterThanOrEqual(WINDOW_MS - 30_000);
    }
  });

  test("over whose text somebody writes meanwhile leaves that alone", async () => {
    const agent = await started();
    agent.proxmox.beforeMutate = () => {
      agent.proxmox.beforeMutate = () => agent.proxmox.edit(101, { description: "somebody else's" });
    };
    const report = await reportOf(agent);
    expect([report.isRestored, description(agent)]).toEqual([true, "somebody else's"]);
    expect(report.steps.at(-1)?.detail).toContain("somebody has written another description since");
  });

  test("that cannot restore says so, and a later run of the agent does it", async () => {
    const agent = await started();
    const { proxmox } = agent;
    const mutate = proxmox.mutate.bind(proxmox);
    proxmox.mutate = async (request) => {
      const answer = await mutate(request);
      proxmox.failEvery("mutate", faults.other("not now"), 101);
      return answer;
    };
    const report = await reportOf(agent);
    expect([report.isPassed, report.isRestored]).toEqual([false, false]);
    expect(report.steps.at(-1)?.detail).toContain("not now");
    proxmox.mutate = mutate;
    proxmox.heal();
    await agent.restart({ downMs: 1_000 });
    await agent.run(65_000);
    expect([description(agent), agent.journal.facts("selftest").size]).toEqual([OLD, 0]);
  });

  test("restores at once when the agent stops while its first task hangs", async () => {
    const agent = await started();
    withTasks(agent, (count) => (count === 0 ? undefined : "OK"));
    let result: Result<SelftestReport> | undefined;
    void agent.engine.selftest(101).then((value) => (result = value));
    await agent.run(2_000);
    const [hanging] = agent.proxmox.tasks();
    const stopping = agent.engine.stop(60_000);
    await agent.run(1_000);
    agent.proxmox.endTask(hanging?.upid ?? "");
    await agent.run(5_000);
    await stopping;
    expect([result?.ok === true && result.value.isRestored, description(agent)]).toEqual([true, OLD]);
  });

  const refusals: readonly (readonly [string, (agent: TestAgent) => void, string])[] = [
    ["while somebody else's task runs on the guest", (agent) => void agent.proxmox.runTask({ type: "vzdump", vmid: 101 }), "somebody else's task is running on it: vzdump"],
    ["when the old description could not be put back", (agent) => agent.proxmox.edit(101, { description: "bell \u0007" }), "holds characters that could not be put back"],
    ["while Proxmox cannot be reached", (agent) => agent.proxmox.failEvery("any", faults.unreachable()), ""],
  ];
  for (const [when, make, message] of refusals) {
    test(`is refused ${when}, and nothing is sent`, async () => {
      const agent = await started();
      make(agent);
      const result = await tested(agent);
      expect([result.ok, agent.acts(), agent.journal.facts("selftest").size]).toEqual([false, [], 0]);
      expect(result.ok ? "" : result.error.message).toContain(message);
    });
  }

  test("is refused before the first full read", async () => {
    const agent = await started();
    agent.crash();
    agent.proxmox.failEvery("any", faults.unreachable());
    await agent.start();
    expect(await agent.engine.selftest(101)).toMatchObject({ ok: false, error: { code: "reconcile.not_ready" } });
  });
});
