import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "../../src/commands/context.ts";
import { parseReport } from "../../src/bench/report.ts";
import { runHere } from "../commands/command-line.ts";
import { runAgent, startAgent } from "../support/agent-process.ts";
import { scratchDirectory } from "../support/temporary-directory.ts";

/** `agent bench` as a process: its exit codes, and that nothing of it stays. */

setDefaultTimeout(30_000);

describe("agent bench", () => {
  test.concurrent("prints JSON that --compare reads again, and says on standard error how far it is", async () => {
    using scratch = scratchDirectory();
    const first = await runAgent(["bench", "--quick", "--json", "--filter", "disk, filled", "--dir", scratch.path]);
    expect(first).toMatchObject({ code: EXIT.done, stderr: expect.stringMatching(/^Measuring in .* less than 30 seconds …\n {2}disk, round 1 of 3\n {2}disk, round 2 of 3\n {2}disk, round 3 of 3\n$/) });
    expect(parseReport(first.stdout, "first").ok).toBe(true);
    writeFileSync(join(scratch.path, "before.json"), first.stdout);
    const second = await runAgent(["bench", "--quick", "--compare", "before.json", "--filter", "qemu name"], { workingDirectory: scratch.path });
    expect(second).toMatchObject({ code: EXIT.done, stdout: expect.stringContaining("nothing was measured in both") });
    expect(readdirSync(scratch.path)).toEqual(["before.json"]);
  });

  for (const [what, signals] of [["SIGINT", ["SIGINT"]], ["SIGTERM", ["SIGTERM"]], ["two SIGINT at once", ["SIGINT", "SIGINT"]]] as const) {
    test.concurrent(`leaves nothing behind after ${what}, and exits with 1`, async () => {
      using scratch = scratchDirectory();
      await using running = startAgent(["bench", "--filter", "journal", "--dir", scratch.path]);
      await running.wrote(/journal, round 1/);
      expect(readdirSync(scratch.path)).toHaveLength(1);
      for (const signal of signals) process.kill(running.pid, signal);
      expect(await running.end()).toBe(EXIT.error);
      expect(running.stderr()).toMatch(/interrupted/);
      expect(running.stdout()).toBe("");
      expect(readdirSync(scratch.path)).toEqual([]);
    });
  }

  test("exits with 64 where the command line is wrong, before it writes anything", async () => {
    using scratch = scratchDirectory();
    writeFileSync(join(scratch.path, "other.json"), "{}");
    for (const words of [["--filter", "nothing"], ["--compare", "other.json"], ["--qick"], ["-o", "yaml"]]) {
      expect([words, (await runHere(["bench", "--quick", ...words], { workingDirectory: scratch.path })).code]).toEqual([words, EXIT.usage]);
    }
    expect(await runHere(["bench", "--compare", "missing.json"], { workingDirectory: scratch.path })).toMatchObject({ code: EXIT.error, stderr: expect.stringContaining("missing.json") });
    expect(readdirSync(scratch.path)).toEqual(["other.json"]);
  });

  test("measures the configured state directory where there is one, else where it was called, whatever the settings say", async () => {
    using scratch = scratchDirectory();
    mkdirSync(join(scratch.path, "state"));
    const config = (text: string): readonly string[] => {
      writeFileSync(join(scratch.path, "agent.yaml"), text);
      return ["--config", join(scratch.path, "agent.yaml"), "bench", "--quick", "--json", "--filter", "qemu name"];
    };
    const directoryOf = async (words: readonly string[]): Promise<unknown> => JSON.parse((await runHere(words, { workingDirectory: scratch.path })).stdout).place.directory;
    expect(await directoryOf(config("stateDir: state\n"))).toBe(join(scratch.path, "state"));
    expect(await directoryOf(config("stateDir: elsewhere\n"))).toBe(scratch.path);
    expect(await directoryOf(config("stateDir: [\n"))).toBe(scratch.path);
    expect(await directoryOf([...config("stateDir: state\n"), "--dir", "."])).toBe(scratch.path);
  });

  test("is loaded by its command alone, so that a daemon carries nothing of it", () => {
    const root = join(import.meta.dir, "../../src");
    const importers = (pattern: RegExp): readonly string[] =>
      [...new Bun.Glob("**/*.ts").scanSync({ cwd: root })].filter((path) => pattern.test(readFileSync(join(root, path), "utf8"))).toSorted((left, right) => left.localeCompare(right));
    expect(importers(/from "\.\.\/bench\//).filter((path) => !path.startsWith("bench/"))).toEqual(["commands/bench-run.ts", "commands/bench.ts"]);
    expect(readFileSync(join(root, "commands/bench.ts"), "utf8")).not.toMatch(/^import (?!type).*"\.\.\/bench\//m);
    expect(importers(/"\.\/bench-run\.ts"/)).toEqual(["commands/bench.ts"]);
    expect(importers(/import .*"\.\/bench-run\.ts"/)).toEqual([]);
    expect(importers(/"mitata"/)).toEqual(["bench/processor.ts"]);
  });
});
