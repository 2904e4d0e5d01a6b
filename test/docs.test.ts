import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { drawTerminal, parseAnsi, steady } from "../scripts/draw-demo.ts";
import { EXIT } from "../src/commands/context.ts";
import { GUEST_CONDITIONS, HOST_CONDITIONS } from "../src/conditions/condition.ts";
import { RECONCILE_RESULTS } from "../src/reconcile/guest-conditions.ts";
import { PROXMOX_LOCK_TIMEOUT_MS, SETTLE_MARGIN_MS } from "../src/reconcile/settle.ts";
import { SystemClock } from "../src/runtime/clock.ts";
import { SystemRandom } from "../src/runtime/random.ts";
import { startSimulator } from "../src/simulator/main.ts";
import { generateHost, USER_CONFIG_PATH } from "../src/simulator/start-state.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

/**
 * What the documentation says is held against the program: links, commands, conditions, metrics, exit
 * codes, and whether the rights it asks for are enough.
 */

const ROOT = join(import.meta.dir, "..");

const PAGES: readonly { readonly path: string; readonly text: string }[] = ["*.md", "docs/**/*.md", "examples/**/*.md"]
  .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: ROOT })])
  .sort()
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));

const OPERATING = pageAt("docs/operating.md");
const README = pageAt("README.md");

function pageAt(path: string): string {
  return PAGES.find((page) => page.path === path)?.text ?? "";
}

/** Without code, where brackets are no links. */
function prose(text: string): string {
  return text.replace(/^```[^]*?^```$/gm, "").replace(/^ {4}.*$/gm, "").replace(/`[^`\n]*`/g, "");
}

/** GitHub's anchors of a page's headings. */
function anchors(text: string): ReadonlySet<string> {
  const headings = [...text.replace(/^```[^]*?^```$/gm, "").matchAll(/^#{1,6} (.+)$/gm)];
  return new Set(headings.map(([, heading = ""]) => heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(" ", "-")));
}

function brokenLinks({ path, text }: { readonly path: string; readonly text: string }): readonly string[] {
  return [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = ""]) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [file = "", anchor] = target.split("#");
    const wanted = file === "" ? path : join(dirname(path), file);
    if (!existsSync(join(ROOT, wanted))) return [`${path}: ${target}: no such file`];
    const isFound = anchor === undefined || anchors(readFileSync(join(ROOT, wanted), "utf8")).has(anchor);
    return isFound ? [] : [`${path}: ${target}: no such heading`];
  });
}

describe("links", () => {
  for (const page of PAGES) {
    test(`of ${page.path} lead somewhere`, () => {
      expect(brokenLinks(page)).toEqual([]);
    });
  }

  test("a broken one is found, with its page", () => {
    expect(brokenLinks({ path: "docs/x.md", text: "[a](operating.md#install) [b](gone.md) [c](operating.md#gone) `[d](gone.md)` [e](https://example.org)" })).toEqual([
      "docs/x.md: gone.md: no such file",
      "docs/x.md: operating.md#gone: no such heading",
    ]);
  });

  test("every page of docs and every decision is in the index, decisions numbered without a gap", () => {
    const index = pageAt("docs/README.md");
    const decisions = PAGES.filter(({ path }) => path.startsWith("docs/decisions/"));
    for (const { path } of PAGES) if (/^docs\/(?!README)/.test(path)) expect(index).toContain(`(${path.slice("docs/".length)})`);
    for (const [position, { path, text }] of decisions.entries()) {
      const number = String(position + 1).padStart(3, "0");
      expect([path.slice("docs/decisions/".length, "docs/decisions/".length + 3), text.slice(2, 5)]).toEqual([number, number]);
      for (const part of ["**Context.**", "**Choice.**", "**Rejected.**"]) expect([path, text.includes(part)]).toEqual([path, true]);
      expect([path, text.split("\n").length <= 13]).toEqual([path, true]);
    }
    expect(decisions.length).toBeGreaterThan(10);
  });
});

describe("commands", () => {
  test("of package.json that are named exist, and the two of the front door are named", () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const named = PAGES.flatMap(({ text }) => [...text.matchAll(/\bbun(?:@[\d.]+)? run ([\w-]+)/g)].map(([, name = ""]) => name));
    for (const name of named) expect(Object.keys(scripts)).toContain(name);
    expect(README).toContain("npx -y bun@1.4.5 run demo");
    expect(README).toContain("npx -y bun@1.4.5 run all-tests");
  });

  /** "pause --for" → what a page tells people to type. */
  const typed = new Map<string, Set<string>>();
  for (const { path, text } of PAGES) {
    if (path === "CHANGELOG.md") continue;
    const pieces = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code).concat(text.split("\n").filter((line) => line.startsWith("    ")).map((line) => line.replace(/ +#.*$/, "")));
    for (const piece of pieces) {
      for (const [, words = ""] of piece.matchAll(/(?:^|[$;/"&] *|^ +)agent ((?:[a-z]+)(?: [^";#]*)?)/g)) {
        const [first = "", second = ""] = words.split(" ");
        const command = (first === "op" || first === "journal") && /^[a-z]+$/.test(second) ? `${first} ${second}` : first;
        const options = typed.get(command) ?? new Set<string>();
        for (const [option] of words.matchAll(/(?<= )--[a-z-]+/g)) options.add(option);
        typed.set(command, options);
      }
    }
  }

  test("of the agent are found on the pages at all", () => {
    expect([...typed.keys()].sort()).toEqual(expect.arrayContaining(["accept", "demo", "journal ls", "journal verify", "op ls", "op resolve", "pause", "plan", "resume", "run", "simulate", "status", "version"]));
    expect([...(typed.get("pause") ?? [])].sort()).toEqual(expect.arrayContaining(["--all", "--for", "--reason"]));
  });

  for (const [command, options] of typed) {
    test(`"agent ${command}" exists with ${options.size === 0 ? "no options named" : [...options].sort().join(", ")}`, async () => {
      const help = await helpOf(command);
      expect(help).toContain(`Usage: agent ${command}`);
      for (const option of options) expect(help).toContain(option);
    });
  }
});

test("every command is in the table of docs/operating.md", async () => {
  const listed = (await helpOf("")).split("\nCommands:\n")[1] ?? "";
  const commands = [...listed.matchAll(/^ {2}([a-z]+) /gm)].map(([, name = ""]) => name).filter((name) => name !== "help");
  expect(commands).toContain("plan");
  const table = OPERATING.slice(OPERATING.indexOf("## Commands"), OPERATING.indexOf("### Exit codes"));
  expect(commands.filter((name) => !table.includes(`\`agent ${name}`))).toEqual([]);
});

async function helpOf(command: string): Promise<string> {
  const child = Bun.spawn([process.execPath, "src/main.ts", ...command.split(" ").filter((word) => word !== ""), "--help"], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  return new Response(child.stdout).text();
}

describe("docs/operating.md explains", () => {
  for (const [type, { reasons }] of Object.entries({ ...HOST_CONDITIONS, ...GUEST_CONDITIONS })) {
    test(`${type} with all its reasons`, () => {
      const start = OPERATING.indexOf(`\n**${type}**`);
      expect(start).toBeGreaterThan(0);
      const rest = OPERATING.slice(start + 1);
      const end = rest.slice(1).search(/\n(?:\*\*[A-Z]\w+\*\*|#)/);
      const section = rest.slice(0, end + 1);
      for (const reason of reasons) expect([reason, section.includes(`\`${reason}\``)]).toEqual([reason, true]);
    });
  }

  test("every word of the result column", () => {
    for (const result of RECONCILE_RESULTS) expect(OPERATING).toContain(`\`${result}\``);
  });

  test("every metric, and none that is not there", () => {
    const sources = [...new Bun.Glob("*.ts").scanSync({ cwd: join(ROOT, "src/server") })].map((file) => readFileSync(join(ROOT, "src/server", file), "utf8"));
    const names = new Set(sources.flatMap((source) => [...source.matchAll(/"((?:steward|process)_[a-z_]+)"/g)].map(([, name = ""]) => name)));
    expect(names.size).toBeGreaterThan(20);
    const documented = new Set([...OPERATING.matchAll(/\b(?:steward|process)_[a-z_]+/g)].map(([name]) => name.replace(/_(?:bucket|sum|count)$/, "")));
    expect([...documented].sort()).toEqual([...names].sort());
  });

  test("every exit code, and none that is not there", () => {
    const table = OPERATING.slice(OPERATING.indexOf("### Exit codes"), OPERATING.indexOf("## Status"));
    expect([...table.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))).toEqual(Object.values(EXIT).sort((a, b) => a - b));
  });

  test("the settle window as it is", () => {
    expect((PROXMOX_LOCK_TIMEOUT_MS + SETTLE_MARGIN_MS) / 1000).toBe(15);
    expect(OPERATING).toContain("`requestTimeout` + 15 s, 45 s by default");
  });
});

/** /etc/pve/user.cfg as the `pveum` lines of a page would leave it. */
function userConfigOf(page: string): string {
  const lines = [...page.matchAll(/pveum (role|user|acl) (.+?)(?= &&| +#|$)/gm)].flatMap(([, what = "", rest = ""]) => {
    const option = (name: string): string => new RegExp(`--${name} (?:"([^"]*)"|(\\S+))`).exec(rest)?.slice(1).find((value) => value !== undefined) ?? "";
    const [verb = "", first = "", second = "", third = ""] = rest.split(" ");
    if (what === "role" && verb === "add") return [`role:${first}:${option("privs").split(" ").join(",")}:`];
    if (what === "user" && verb === "add") return [`user:${first}:1:0::::::`];
    if (what === "user" && verb === "token" && first === "add") return [`token:${second}!${third}:0:${option("privsep")}::`];
    if (what === "acl" && verb === "modify") return [`acl:1:${first}:${option("users")}:${option("roles")}:`];
    return [];
  });
  return `${lines.join("\n")}\n`;
}

/** One value for each privilege the pages name, on both kinds of guests. */
const DECLARED = `version: 1
guests:
  - vmid: 100
    kind: qemu
    state: running
    config: { cores: 3, memory: 1024, name: other, tags: [a, b], description: hello, net0: { tag: 7 }, onboot: true, protection: true, nameserver: 192.0.2.1 }
  - vmid: 103
    kind: lxc
    state: running
    config: { cores: 3, swap: 77, hostname: other, tags: [a, b], description: hello, net0: { tag: 7 }, onboot: true }
`;

/** Runs `agent run --once` as the user a page makes, against a simulated host that checks rights as Proxmox does. */
async function convergeAs(userConfig: string): Promise<{ readonly code: number; readonly text: string }> {
  const directory = temporaryDirectory();
  const { startState } = generateHost("pve1", 10, 1);
  const simulator = await startSimulator({
    listen: { hostname: "127.0.0.1", port: 0 }, guests: 0, seed: 1, clock: new SystemClock(), random: new SystemRandom(),
    tokenFile: join(directory, "token"), tlsDir: join(directory, "tls"),
    startState: { ...startState, files: { ...startState.files, [USER_CONFIG_PATH]: userConfig } },
  });
  try {
    mkdirSync(join(directory, "desired"));
    writeFileSync(join(directory, "desired/guests.yaml"), DECLARED);
    const settings = {
      node: "pve1", stateDir: "state", socket: "agent.sock", host: { enabled: false }, desired: { source: "directory", path: "desired" },
      proxmox: { url: simulator.url, tokenFile: "token", tls: { caFile: "tls/pve-root-ca.pem" } },
    };
    writeFileSync(join(directory, "agent.yaml"), Bun.YAML.stringify(settings));
    const child = Bun.spawn([process.execPath, "src/main.ts", "--config", join(directory, "agent.yaml"), "run", "--once"], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
    const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return { code: await child.exited, text: out + error };
  } finally {
    await simulator.stop();
  }
}

describe("the rights that a page asks for", () => {
  for (const [name, page] of [["README.md", README], ["docs/operating.md", OPERATING]] as const) {
    test(`in ${name} are enough for both kinds of guests`, async () => {
      const { code, text } = await convergeAs(userConfigOf(page));
      expect([code, text]).toEqual([0, expect.stringContaining("6 acts.")]);
    });
  }

  test("fail with the privilege's name when one is missing", async () => {
    const { code, text } = await convergeAs(userConfigOf(OPERATING).replace(",VM.Config.CPU", ""));
    expect(code).toBe(1);
    expect(text).toContain("403 Permission check failed (/vms/100, VM.Config.CPU). Give the token's role what is missing");
    expect(OPERATING).toContain("403 Permission check failed (/vms/100, VM.Config.CPU). Give the token's role what is missing");
  });
});

describe("pictures", () => {
  test("keep colours and columns, and continue long lines under their column", () => {
    const lines = parseAnsi("\u001b[1mqemu/100\u001b[0m  \u001b[33m~ tags\u001b[0m  one two three\n", 24);
    expect(lines).toEqual([
      [
        { column: 0, text: "qemu/100", ink: "1" }, { column: 8, text: "  ", ink: "" },
        { column: 10, text: "~ tags", ink: "33" }, { column: 16, text: "  one", ink: "" },
      ],
      [{ column: 18, text: "two", ink: "" }],
      [{ column: 18, text: "three", ink: "" }],
    ]);
  });

  test("are the same at every run, apart from times", () => {
    const one = "GET http://127.0.0.1:35851/healthz\n 13  02:39:13.617  -  jqsy89  task  UPID:pve1:0000019F:00040765:6B010451:qmstart:102:root@pam!agent:\n";
    const other = "GET http://127.0.0.1:40001/healthz\n 13  02:39:13.617  -  b3y6xn  task  UPID:pve1:000001AD:00040806:6B010453:qmstart:102:root@pam!agent:\n";
    expect(steady(one)).toBe(steady(other));
    expect(steady(one)).toContain("op0001  task");
  });

  test("are well-formed whatever is printed", () => {
    const svg = drawTerminal("a & b", parseAnsi('<b>"x" & y</b>', 80));
    expect(svg).toContain("&lt;b&gt;&quot;x&quot; &amp; y&lt;/b&gt;");
    expect(svg).toContain('aria-label="a &amp; b"');
    expect(svg).not.toContain("<b>");
  });
});
