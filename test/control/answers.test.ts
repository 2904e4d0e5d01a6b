import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { changeAnswer, compactionAnswer, onceAnswer, operationsAnswer, restartAnswer, selftestAnswer, statusAnswer } from "../../src/control/answers.ts";
import { createControlApp } from "../../src/control/app.ts";
import { askAgentFor } from "../../src/control/client.ts";
import { FakeAgent } from "./control-target.ts";

/** What goes over the socket, as the other side reads it. */
const sent = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("answers of a running agent", () => {
  test("of this version have the shapes that commands expect, and come through unchanged", async () => {
    const agent = new FakeAgent();
    const selftest = await agent.selftest(101);
    const restart = await agent.restart({ vmid: 101, key: "k", keyLifeMs: 1, waitMs: 1 });
    const compaction = await agent.compactJournal();
    const answers = [
      [statusAnswer, agent.status()], [onceAnswer, await agent.runOnce()], [operationsAnswer, agent.operations()], [selftestAnswer, selftest.ok ? selftest.value : undefined],
      [restartAnswer, restart.ok ? restart.value : undefined], [compactionAnswer, compaction.ok ? compaction.value : undefined], [changeAnswer, agent.change()],
    ] as const;
    for (const [schema, value] of answers) {
      const parsed = v.safeParse(schema, sent(value));
      expect(parsed.issues).toBeUndefined();
      expect(sent(parsed.output)).toMatchObject(sent(value) as object);
    }
  });

  test("of a later version may say more, and words that this one does not know", () => {
    const status = sent(new FakeAgent().status()) as Record<string, unknown>;
    const later = { ...status, colour: "green", conditions: [{ type: "MoonFull", status: "True", reason: "Night", message: "", lastTransitionTime: "", observedGeneration: "", phase: 1 }] };
    expect(v.safeParse(statusAnswer, later).success).toBe(true);
  });

  test("of another shape are refused with both versions and what to do", async () => {
    const directory = mkdtempSync(join(tmpdir(), "steward-answers-"));
    const status = sent(new FakeAgent().status()) as { agent: Record<string, unknown> };
    const old = { ...status, agent: { ...status.agent, version: "0.0.9" }, guests: "none" };
    const answer = (request: Request): Response => Response.json({ value: new URL(request.url).pathname === "/v1/status" ? old : { exitCode: "fine" } });
    const socket = join(directory, "s");
    const server = Bun.serve({ unix: socket, fetch: answer });
    try {
      for (const [path, schema] of [["/v1/status", statusAnswer], ["/v1/run-once", onceAnswer]] as const) {
        const asked = await askAgentFor<unknown>(socket, path, { schema, version: "0.1.0" });
        expect(asked).toEqual({ ok: false, error: { code: "control.refused", message: expect.stringMatching(/^the running agent is version 0\.0\.9, this is 0\.1\.0, .*; restart the agent/) } });
      }
    } finally {
      await server.stop(true);
      rmSync(directory, { recursive: true });
    }
  });

  test("are taken over a real socket", async () => {
    const directory = mkdtempSync(join(tmpdir(), "steward-answers-"));
    const agent = new FakeAgent();
    const server = Bun.serve({ unix: join(directory, "s"), fetch: createControlApp(agent).fetch });
    try {
      const asked = await askAgentFor(join(directory, "s"), "/v1/status", { schema: statusAnswer, version: "0.1.0" });
      expect(asked).toMatchObject({ ok: true, value: { agent: { version: agent.status().agent.version } } });
    } finally {
      await server.stop(true);
      rmSync(directory, { recursive: true });
    }
  });
});
