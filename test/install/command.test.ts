import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommandLine } from "../../src/commands/cli.ts";
import { EXIT } from "../../src/commands/context.ts";
import { loadConfig } from "../../src/config/load.ts";
import { createDesiredSource } from "../../src/desired/sources.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { Logger } from "../../src/runtime/logger.ts";
import { SystemRandom } from "../../src/runtime/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const clock = new SystemClock();
const log = new Logger({ clock, level: "error", format: "text", isTerminal: false, hasColours: false });

async function agent(words: readonly string[], userId = 1000): Promise<{ readonly code: number; readonly out: string; readonly complaints: string }> {
  let [out, complaints] = ["", ""];
  const code = await runCommandLine(words, {
    world: { clock, random: new SystemRandom(), log, fileSystem: createFileSystem(), userId },
    environment: { PATH: process.env["PATH"] }, hostname: "pve1", workingDirectory: "/", processId: process.pid, isTerminal: false,
    print: (text) => void (out += text), complain: (text) => void (complaints += text),
    interrupted: new AbortController().signal, onHangup: () => {},
  });
  return { code, out, complaints };
}

function fakeBinary(): string {
  const path = join(temporaryDirectory(), "agent");
  writeFileSync(path, "#!/bin/sh\n");
  chmodSync(path, 0o755);
  return path;
}

describe("agent install --root", () => {
  test("fills a tree without being root, shows what it does, and finds it done the second time", async () => {
    const root = temporaryDirectory();
    const words = ["install", "--root", root, "--prefix", "/usr", "--binary", fakeBinary()];
    const first = await agent(words);
    expect([first.code, first.complaints]).toEqual([EXIT.done, ""]);
    expect(first.out).toContain("  create  /etc/steward/agent.yaml (0640 root:steward)\n");
    expect(readFileSync(join(root, "usr/share/bash-completion/completions/agent"), "utf8")).toContain("journal ls");
    const second = await agent(words);
    expect([second.code, second.out.includes("Nothing to change")]).toEqual([EXIT.done, true]);
  });

  test("--dry-run shows the same plan and makes nothing", async () => {
    const root = temporaryDirectory();
    const { code, out } = await agent(["install", "--root", root, "--binary", fakeBinary(), "--dry-run"]);
    expect([code, out.includes("  create  /usr/local/bin/agent"), out.includes("nothing was changed")]).toEqual([EXIT.done, true, true]);
    expect(existsSync(join(root, "usr"))).toBe(false);
  });

  test("agent uninstall --root --purge takes it away again", async () => {
    const root = temporaryDirectory();
    await agent(["install", "--root", root, "--binary", fakeBinary()]);
    expect((await agent(["uninstall", "--root", root, "--purge"])).code).toBe(EXIT.done);
    for (const path of ["etc/steward", "var/lib/steward", "usr/local/bin/agent", "usr/local/share/steward"]) expect([path, existsSync(join(root, path))]).toEqual([path, false]);
  });

  test("the settings it brings load, plan only, and point at desired state that declares nothing", async () => {
    const root = temporaryDirectory();
    await agent(["install", "--root", root, "--binary", fakeBinary()]);
    const files = createFileSystem();
    const loaded = loadConfig({ file: join(root, "etc/steward/agent.yaml"), isFileRequired: true, environment: {}, flags: {}, readFile: (path) => files.readFile(path), hostname: "pve1", workingDirectory: "/" });
    expect(loaded.ok && loaded.value.config).toMatchObject({ dryRun: true, node: "pve1", desired: { source: "directory", path: "/etc/steward/desired" }, server: { port: 9100 }, socket: "/run/steward/agent.sock" });
    const source = createDesiredSource({ source: "directory", path: join(root, "etc/steward/desired") }, { clock, log });
    const report = await source.load();
    source.close();
    expect([report.problems, report.state?.guests.size]).toEqual([[], 0]);
  });
});

describe("what is refused", () => {
  test("installing as somebody else than root says what to do", async () => {
    for (const command of ["install", "uninstall"]) {
      const { code, complaints } = await agent([command]);
      expect([code, complaints.includes(`expected to run as root (a user, a service and files in /etc), found uid 1000: sudo agent ${command}`)]).toEqual([EXIT.error, true]);
    }
  });

  const misuses: readonly (readonly [readonly string[], number, string])[] = [
    [["install", "--root", "relative"], EXIT.usage, 'expected an absolute path after --root, found "relative"'],
    [["install", "--root", "/x", "--prefix", "/opt/a b"], EXIT.usage, "it goes into the unit file"],
    [["install", "--root", "/x", "--prefix", "/opt/../etc"], EXIT.usage, "it goes into the unit file"],
    [["install", "--root", "/x", "--create-token"], EXIT.usage, "expected --create-token or --root"],
    [["install", "--root", "/x", "--binary", "/no/such/file"], EXIT.error, "/no/such/file: expected the agent's binary"],
    [["install", "--root", "/x"], EXIT.error, "expected a built agent, found its source"],
    [["install", "--purge"], EXIT.usage, "unknown option"],
    [["completion", "tcsh"], EXIT.usage, "Allowed choices are bash, zsh, fish"],
  ];
  for (const [words, code, expected] of misuses) {
    test(`agent ${words.join(" ")}`, async () => {
      const run = await agent(words);
      expect([run.code, run.complaints]).toEqual([code, expect.stringContaining(expected)]);
    });
  }

  test("a step that fails stops the rest, says how far it got, and exits with 1", async () => {
    const root = temporaryDirectory();
    mkdirSync(join(root, "usr/local/bin/agent"), { recursive: true });
    const { code, complaints } = await agent(["install", "--root", root, "--binary", fakeBinary()]);
    expect(code).toBe(EXIT.error);
    expect(complaints).toMatch(/cannot change \/usr\/local\/bin\/agent[^]*stopped after 3 of \d+ changes/);
  });
});
