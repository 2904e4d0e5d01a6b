import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runAgent } from "../support/agent-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { runHere } from "./command-line.ts";

describe("a wrong command line exits with 64, prints nothing, and says what is wrong", () => {
  test.each([
    [["runn"], /unknown command 'runn'\n\(Did you mean run\?\)/],
    [["statsu"], /Did you mean status\?/],
    [["journal", "verfy"], /Did you mean verify\?/],
    [["run", "--onec"], /unknown option '--onec'\n\(Did you mean --once\?\)/],
    [["plan", "--no-colour"], /Did you mean --no-color\?/],
    [["run", "--dryrun"], /Did you mean --dry-run\?/],
    [["--statedir", "/x", "plan"], /Did you mean --state-dir\?/],
    [["plan", "--statedir=/x"], /Did you mean --state-dir\?/],
    [["plan", "--qqqqqqqq"], /unknown option '--qqqqqqqq'\n\("agent --help"/],
    [["plan", "extra"], /too many arguments/],
    [["plan", "-o"], /argument missing/],
    [["plan", "-o", "yaml"], /expected text or json after --output, found "yaml"/],
    [["status", "--output", "JSON"], /expected text or json/],
    [["journal", "verify", "-o", "xml"], /expected text or json/],
    [["version", "-o", ""], /expected text or json/],
    [["pause"], /expected one VMID \(100 to 999999999\), or --all, found neither/],
    [["pause", "web-1"], /found "web-1"/],
    [["pause", "99"], /found "99"/],
    [["pause", "101", "--all"], /found both/],
    [["pause", "101", "--for", "2x"], /expected a duration such as 30m, 2h or 3d after --for, found "2x"/],
    [["resume"], /found neither/],
    [["accept"], /missing required argument 'revision'/],
    [["op"], /Usage: agent op /],
    [["op", "resolve", "01abc", "--reason", "seen"], /expected one of --succeeded and --failed/],
    [["op", "resolve", "01abc", "--reason", "seen", "--failed", "--succeeded"], /expected one of --succeeded and --failed/],
    [["op", "resolve", "01abc", "--failed"], /required option '--reason <text>' not specified/],
    [["journal", "ls", "--last", "many"], /expected a whole number from 1 to 100000 after --last/],
    [["journal", "ls", "--last", "0"], /expected a whole number from 1/],
    [["journal", "ls", "--limit", "0"], /expected a whole number from 1 to 100000 after --limit, found "0"/],
    [["journal", "ls", "--guest", "web"], /expected a VMID/],
    [["journal", "ls", "--guest", "kvm/100"], /or one with its kind such as qemu\/100, found "kvm\/100"/],
    [["journal", "ls", "--since", "yesterday"], /expected a duration such as 30m.* or a time such as 2026/],
    [["journal", "ls", "--since", "2026-13-01"], /or a time such as 2026/],
    [["journal", "ls", "--state", "done"], /Allowed choices are planned, started, task_running, succeeded, failed, unknown, abandoned/],
    [["journal", "verify", "--from", "abc"], /expected 16 to 64 hex digits after --from/],
    [["journal", "tail", "-n", "x"], /expected a whole number from 1 to 100000 after --lines/],
    [["journal", "export", "-o", "json"], /Allowed choices are jsonl/],
    [["journal", "show"], /missing required argument 'operation'/],
    [["simulate", "--listen", "8006"], /expected host:port after --listen/],
    [["simulate", "--listen", "127.0.0.1:99999"], /expected host:port/],
    [["simulate", "--guests", "-3"], /expected a whole number up to 20000 after --guests/],
    [["simulate", "--seed", "x"], /expected a whole number after --seed/],
    [["demo", "--forever"], /unknown option/],
  ] as const)("agent %p", async (words, message) => {
    const finished = await runHere(words);
    expect({ code: finished.code, stdout: finished.stdout }).toEqual({ code: 64, stdout: "" });
    expect(finished.stderr).toMatch(message);
    expect(finished.stderr).not.toMatch(/^error:/m);
  });

  test("no command at all lists the commands", async () => {
    expect(await runHere([])).toMatchObject({ code: 64, stdout: "", stderr: expect.stringMatching(/^Usage: agent/) });
  });

  test("the process exits with it too", async () => {
    expect(await runAgent(["runn"])).toMatchObject({ code: 64, stdout: "", stderr: expect.stringContaining("Did you mean run?") });
  });
});

/** The commands that a help text lists, `help` left out. */
function listed(help: string): readonly string[] {
  const section = help.split("\nCommands:\n")[1] ?? "";
  return [...section.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name = ""]) => name).filter((name) => name !== "help");
}

async function everyCommand(path: readonly string[] = []): Promise<readonly (readonly string[])[]> {
  const { stdout } = await runHere([...path, "--help"]);
  const children = await Promise.all(listed(stdout).map((name) => everyCommand([...path, name])));
  return [path, ...children.flat()];
}

const commands = await everyCommand();

describe("help", () => {
  test("knows the commands of operating.md, and some", () => {
    const names = commands.map((path) => path.join(" "));
    for (const name of ["run", "plan", "status", "pause", "resume", "accept", "op ls", "op resolve", "journal ls", "journal show", "journal verify", "journal compact", "journal tail", "journal export", "simulate", "demo", "version"]) expect(names).toContain(name);
  });

  test.each(commands.map((path) => [path.join(" ") || "(none)", path] as const))("%s: usage, what it is for, its options, the global ones", async (_name, path) => {
    const help = await runHere([...path, "--help"]);
    expect({ code: help.code, stderr: help.stderr }).toEqual({ code: 0, stderr: "" });
    const [usage = "", , purpose = ""] = help.stdout.split("\n");
    expect(usage).toStartWith(["Usage: agent", ...path].join(" "));
    expect(purpose.length).toBeGreaterThan(10);
    expect(help.stdout).toContain("--help");
    expect(help.stdout).toContain("--config <file>");
    // The same by the other way to ask.
    if (path.length === 1) expect((await runHere(["help", ...path])).stdout).toBe(help.stdout);
  });

  test("run lists every setting as an option", async () => {
    const { stdout } = await runHere(["run", "--help"]);
    for (const flag of ["--state-dir <path>", "--proxmox-url <url>", "--dry-run [true|false]", "--server-listen <address>"]) expect(stdout).toContain(flag);
  });
});

describe("version", () => {
  test.each([[["version"]], [["--version"]], [["-V"]]])("%p says which program this is", async (words) => {
    expect(await runAgent(words)).toEqual({ code: 0, stdout: expect.stringMatching(/^steward \d+\.\d+\.\d+\S* \(\S+\)\n$/), stderr: "" });
  });

  test("as JSON too", async () => {
    const { code, stdout } = await runAgent(["version", "-o", "json"]);
    expect({ code, keys: Object.keys(JSON.parse(stdout)) }).toEqual({ code: 0, keys: ["version", "commit"] });
  });
});

describe("settings", () => {
  const fileCases: readonly (readonly [string, string, RegExp])[] = [
    ["an unknown key", "node: pve1\nresyncIntervall: 5s\n", /agent\.yaml:2:1: resyncIntervall: .*did you mean `resyncInterval`/],
    ["an unknown key further in", "proxmox:\n  urls: x\n", /agent\.yaml:2:3: proxmox\.urls: /],
    ["a value out of range", "pollInterval: 5\n", /agent\.yaml:1:15: pollInterval: expected a time from 100ms to 1h.*found "5"/],
    ["broken YAML", "node: [\n", /agent\.yaml:\d+:\d+: expected valid YAML/],
    ["the token in place of its file", "proxmox: { tokenFile: 'root@pam!agent=5ec12e75-0000-4000-8000-0f7e57c0ffee' }\n", /agent\.yaml:1:23: .*found the token itself/],
    ["no trust at all", "proxmox: { tls: insecure }\n", /there is no way to trust any certificate/],
    ["plain http", "proxmox: { url: 'http://127.0.0.1:8006' }\n", /plain http is refused/],
    ["two mistakes", "nodes: a\npollInterval: x\n", /agent\.yaml:1:1[^]*agent\.yaml:2:15/],
  ];

  test.each(fileCases)("%s: exit 1, at file:line:col, by every command that reads them", async (_name, text, message) => {
    const file = join(temporaryDirectory(), "agent.yaml");
    writeFileSync(file, text);
    for (const words of [["plan"], ["run"], ["run", "--once"], ["status"], ["pause", "100"], ["op", "ls"], ["journal", "ls"]]) {
      const finished = await runHere(["--config", file, ...words]);
      expect([words, finished.code, finished.stdout]).toEqual([words, 1, ""]);
      expect(finished.stderr).toMatch(message);
      expect(finished.stderr).not.toContain("5ec12e75");
    }
  });

  test.each([
    ["a file that was named and is not there", ["--config", "/nonexistent/agent.yaml", "plan"], {}, /\/nonexistent\/agent\.yaml: expected the agent's settings/],
    ["… named by a variable", ["plan"], { STEWARD_CONFIG: "/nonexistent/agent.yaml" }, /\/nonexistent\/agent\.yaml/],
    ["an unknown variable", ["plan"], { STEWARD_NODES: "a" }, /variable STEWARD_NODES: .*did you mean `STEWARD_NODE`/],
    ["a variable's value", ["plan"], { STEWARD_DRY_RUN: "maybe" }, /variable STEWARD_DRY_RUN: .*expected true or false/],
  ] as const)("%s: exit 1, and where it was said", async (_name, words, environment, message) => {
    expect(await runHere(words, { environment })).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(message) });
  });

  test.each([
    ["a flag's value", ["plan", "--poll-interval", "5"], {}, 64, /flag --poll-interval: .*found "5"/],
    ["one of another command", ["journal", "ls", "--log-level", "loud"], {}, 64, /flag --log-level: /],
    ["no trust by a flag", ["status", "--proxmox-tls", "insecure"], {}, 64, /there is no way to trust any certificate/],
    ["a wrong variable beside it: the command line alone would not do", ["plan", "--poll-interval", "5"], { STEWARD_DRY_RUN: "maybe" }, 1, /STEWARD_DRY_RUN/],
  ] as const)("%s: exit code as of a wrong command line, when nothing else is wrong", async (_name, words, environment, code, message) => {
    expect(await runHere(words, { environment })).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(message) });
  });

  test("without a settings file, an error says that these were the defaults", async () => {
    const finished = await runHere(["status"], { environment: { STEWARD_SOCKET: "/nonexistent/agent.sock" } });
    expect(finished).toMatchObject({ code: 1, stderr: expect.stringContaining("there is no /etc/steward/agent.yaml, so these were the defaults; name your settings with --config FILE") });
  });
});
