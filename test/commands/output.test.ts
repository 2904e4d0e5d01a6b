import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { openJournal } from "../../src/journal/journal.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { SystemRandom } from "../../src/runtime/random.ts";
import { PROGRAM } from "../support/agent-process.ts";
import { guests, machine, SECRET, Site, TEST_TIMEOUT_MS } from "../e2e/site.ts";
import { runHere } from "./command-line.ts";
import { scratchDirectory } from "../support/temporary-directory.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const RECORDS = 20_000;

/** A journal of many facts, made as the agent makes it. */
async function longJournal(directory: string): Promise<void> {
  const opened = await openJournal({
    directory, node: "pve1", machineId: "", version: "0", fileSystem: createFileSystem(), clock: new SystemClock(), random: new SystemRandom(),
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }, onSync: () => {},
  });
  if (!opened.ok) throw new Error(opened.error.message);
  await Promise.all(Array.from({ length: RECORDS }, (_, index) => opened.value.putFact("test", "key", index)));
  await opened.value.close();
}

/** Runs a shell pipeline that begins with the program. */
function pipe(words: readonly string[], rest: string): { readonly out: string; readonly err: string; readonly code: number } {
  const quoted = [...PROGRAM, ...words].map((word) => `'${word}'`).join(" ");
  const run = Bun.spawnSync(["bash", "-o", "pipefail", "-c", `${quoted} ${rest}`], { stdout: "pipe", stderr: "pipe" });
  return { out: run.stdout.toString(), err: run.stderr.toString(), code: run.exitCode };
}

describe("output into a pipe", () => {
  test("of 20,000 lines arrives whole, however slowly it is read", async () => {
    using scratch = scratchDirectory();
    const directory = scratch.path;
    await longJournal(directory);
    const words = ["journal", "ls", "--dir", directory, "--limit", "30000"];
    expect(pipe(words, "| { read -r _; wc -l; }")).toEqual({ out: expect.stringMatching(/^\s*19999\s*$/), err: "", code: 0 });
    const json = pipe([...words, "-o", "json"], "| cat");
    expect(JSON.parse(json.out)).toHaveLength(RECORDS);
    // A reader that has seen enough is no error of ours.
    const cut = pipe(words, "| head -n 1");
    expect(cut.err).toBe("");
    expect(cut.out.split("\n")).toHaveLength(2);
  });
});

describe("colours", () => {
  test.concurrent("a plan is coloured on a terminal only, and never with NO_COLOR or --no-color", async () => {
    await using site = await Site.open({ files: { "qemu-server/100": machine({ name: "web" }) }, desired: { "guests.yaml": guests({ vmid: 100, kind: "qemu", config: { description: "declared" } }) } });
    const plan = async (words: readonly string[], isTerminal: boolean, environment: Readonly<Record<string, string>> = {}) => (await runHere(site.words(["plan", ...words]), { isTerminal, environment })).stdout;
    expect(await plan([], true)).toContain("\u001b[");
    const plain = await plan([], false);
    expect(plain).not.toContain("\u001b");
    expect(await plan([], true, { NO_COLOR: "1" })).toBe(plain);
    expect(await plan(["--no-color"], true)).toBe(plain);
    expect(await plan(["-o", "json"], true)).not.toContain("\u001b");
    // no-color.org: an empty variable asks for nothing.
    expect(await plan([], true, { NO_COLOR: "" })).toContain("\u001b[");
  });

  test.concurrent("a guest's name cannot move the cursor", async () => {
    await using site = await Site.open({ files: { "qemu-server/100": machine({ name: "web", description: "\u001b[2Jgone" }) }, desired: { "guests.yaml": guests({ vmid: 100, kind: "qemu", config: { description: "\u001b]0;title\u0007" } }) } });
    for (const words of [["plan"], ["plan", "-o", "json"], ["run", "--once"], ["journal", "ls"], ["journal", "ls", "-o", "json"]]) {
      const finished = await site.run(words);
      expect([words, finished.stderr]).toEqual([words, ""]);
      expect([words, finished.stdout.includes("\u001b")]).toEqual([words, false]);
    }
  });
});

/** Every file below a directory. */
function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true }).map(String).map((name) => join(directory, name)).filter((path) => statSync(path).isFile());
}

/** What surrounds the first place where `text` holds `part`; empty when it does not. */
function around(text: string, part: string): string {
  const at = text.indexOf(part);
  return at < 0 ? "" : text.slice(Math.max(0, at - 200), at + 80);
}

describe("secrets", () => {
  test.concurrent("the token is in its file and nowhere else: output, logs, journal, metrics, status, command line, environment", async () => {
    await using site = await Site.open({ files: { "qemu-server/100": machine({ name: "web" }) }, desired: { "guests.yaml": guests({ vmid: 100, kind: "qemu", state: "running", config: { description: "declared", cipassword: "hunter2-cipassword" } }) }, settings: { log: "{ level: debug }" } });
    const seen: string[] = [];
    const note = async (words: readonly string[]): Promise<void> => {
      const { stdout, stderr } = await site.run(words);
      seen.push(stdout, stderr);
    };
    await note(["plan"]);
    await note(["plan", "-o", "json"]);
    const daemon = await site.daemon();
    await daemon.ready();
    await site.shows(["op", "ls", "--all"], /succeeded/);
    for (const words of [["status"], ["status", "-o", "json"], ["op", "ls", "--all", "-o", "json"], ["run", "--once", "-o", "json"], ["journal", "ls", "-o", "json"]]) await note(words);
    for (const path of ["/", "/metrics", "/readyz?verbose", "/livez"]) seen.push((await daemon.get(path)).body);
    // The token breaks, is refused and comes back: what is said about it must not hold it.
    site.simulator.faults.add({ kind: "error", status: 401, reason: "invalid token value!", times: 4 });
    await daemon.failing("ProxmoxReachable", "Unauthenticated");
    await daemon.ready();
    site.writeToken(`root@pam!agent=${SECRET}x`);
    await note(["plan"]);
    site.configure({ proxmox: site.proxmox("auto", `"root@pam!agent=${SECRET}"`) });
    await note(["plan"]);
    for (const name of ["cmdline", "environ"]) seen.push(readFileSync(`/proc/${daemon.process.pid}/${name}`, "latin1"));
    await daemon.process.stop();
    seen.push(daemon.process.stdout(), daemon.process.stderr());
    const stateFiles = filesBelow(site.path("state"));
    expect(stateFiles.length).toBeGreaterThan(0);
    seen.push(...stateFiles.map((path) => readFileSync(path, "latin1")));
    const all = seen.join("\n");
    expect(all.length).toBeGreaterThan(10_000);
    // The canary: what is looked for is really what was used.
    site.writeToken();
    expect(readFileSync(site.path("token"), "utf8")).toContain(SECRET);
    for (const secret of [SECRET, Buffer.from(`root@pam!agent=${SECRET}`).toString("base64"), "hunter2"]) expect(around(all, secret)).toBe("");
  });
});
