import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT } from "../../src/commands/context.ts";
import { contentOf } from "../journal/journal-fixture.ts";
import { guests, machine, Site } from "../e2e/site.ts";
import { runAgent, startAgent, until } from "../support/agent-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { runHere } from "./command-line.ts";
import { editLines, openReal, segmentsIn, writeStory, type RealJournal, type Story } from "./journal-files.ts";

/** `agent journal …` on real files: while somebody writes them, and on copies. */

setDefaultTimeout(60_000);

let real: RealJournal;
let story: Story;

/** Lives as long as this file's tests. */
const home = mkdtempSync(join(tmpdir(), "steward-journal-"));

beforeAll(async () => {
  real = await openReal(join(home, "journal"));
  story = await writeStory(real);
});
afterAll(async () => {
  await real.journal.close();
  rmSync(home, { recursive: true, force: true });
});

/** A command on the journal that is open and locked by this process. */
const journal = (...words: readonly string[]) => runHere(["journal", ...words, "--dir", real.directory]);

function copy(): string {
  // Below `home`: tests run at the same time, and each one's own temporary directory goes with whichever ends first.
  const directory = join(mkdtempSync(join(home, "copy-")), "journal");
  cpSync(real.directory, directory, { recursive: true });
  return directory;
}

/** Sequence numbers of the lines that `ls` prints. */
function sequences(stdout: string): readonly number[] {
  return stdout.split("\n").flatMap((line) => (/^\d+ {2}/.test(line) ? [Number.parseInt(line, 10)] : []));
}

const flipDigit = (line: string, at: number): string => `${line.slice(0, at)}${line[at] === "0" ? "1" : "0"}${line.slice(at + 1)}`;

describe("ls", () => {
  test("shows what happened, not what a segment repeats, oldest first", async () => {
    expect(segmentsIn(real.directory).length).toBeGreaterThan(2);
    const { stdout, code, stderr } = await journal("ls");
    expect([code, stderr]).toEqual([EXIT.done, ""]);
    const told = sequences(stdout);
    expect(told).toEqual(told.toSorted((left, right) => left - right));
    expect(stdout.match(/planned/g)).toHaveLength(4);
    expect(stdout).toContain("\\u{1b}[2Jevil".replace("\\u{1b}", "\\u001b"));
  });

  const filters: readonly (readonly [string, readonly string[], RegExp, RegExp, number])[] = [
    ["a guest by its number", ["--guest", "101"], /^\d+ {2}\S+ {2}lxc\/101 /, /qemu/, 4],
    ["a guest with its kind", ["--guest", "qemu/100"], /qemu\/100/, /lxc/, 9],
    ["a guest that is not of that kind", ["--guest", "qemu/101"], /^No records/, /101/, 1],
    ["a guest that was only paused", ["--guest", "777"], /pause\/777/, /w\/k|pause\/778|verdict/, 1],
    ["what an operation does", ["--op", "shutdown"], /(?:planned +shutdown|start|lose)/, /set_config|fact/, 3],
    ["a state it came into", ["--state", "unknown"], /lose +no answer/, /planned|succeed/, 1],
    ["two filters at once", ["--op", "start", "--state", "failed"], /fail +by answer/, /planned/, 1],
    ["a time", ["--since", "2026-01-01T02:00:00Z", "--guest", "100"], /T02:00/, /T0[01]:/, 6],
    ["a time without seconds or zone", ["--since", "2026-01-01 01:00", "--guest", "101"], /T01:00/, /T00:/, 4],
    ["a day", ["--since", "2026-01-01", "--state", "planned"], /planned/, /never/, 4],
    ["a limit: the newest", ["--limit", "2"], /w\/k1[89] = "value 1[89]"/, /k17/, 2],
  ];
  test.each(filters)("by %s", async (_name, words, shown, hidden, count) => {
    const { stdout, code } = await journal("ls", ...words);
    expect(code).toBe(EXIT.done);
    const lines = stdout.trimEnd().split("\n");
    for (const line of lines) expect(line).toMatch(shown);
    expect(stdout).not.toMatch(hidden);
    expect(lines).toHaveLength(count);
  });

  test("by a duration: what is that old is not shown", async () => {
    expect((await journal("ls", "--since", "2h")).stdout).toBe("No records.\n");
  });

  test("as JSON: each with its place", async () => {
    const records: readonly { readonly sequence: number; readonly segment: string; readonly line: number; readonly hash: string; readonly kind: string }[] = JSON.parse((await journal("ls", "-o", "json", "--limit", "3")).stdout);
    expect(records).toHaveLength(3);
    for (const { segment, line, hash, sequence } of records) {
      const text = readFileSync(join(real.directory, segment), "utf8").split("\n")[line - 1] ?? "";
      expect(text.startsWith(`${hash.slice(0, 16)} ${sequence} `)).toBe(true);
    }
  });
});

describe("show", () => {
  test("tells everything of one operation, each record with its time and place", async () => {
    const { stdout, code } = await journal("show", story.failed);
    expect(code).toBe(EXIT.done);
    expect(stdout).toMatch(/^guest +\{"kind":"lxc","vmid":101/m);
    expect(stdout).toMatch(/^state +failed$/m);
    const records = stdout.split("\nrecords\n")[1]?.trimEnd().split("\n") ?? [];
    expect(records.map((line) => line.trim().split(/ {2,}/).slice(1, 4))).toEqual([
      ["2026-01-01T01:00:00.000Z", expect.stringMatching(/^\d{16}\.journal:\d+$/), "planned"],
      ["2026-01-01T01:00:00.000Z", expect.stringMatching(/^\d{16}\.journal:\d+$/), "start"],
      ["2026-01-01T01:00:00.000Z", expect.stringMatching(/^\d{16}\.journal:\d+$/), "task"],
      ["2026-01-01T01:00:00.000Z", expect.stringMatching(/^\d{16}\.journal:\d+$/), "fail"],
    ]);
    expect(stdout).toContain("no such\\nbridge");
  });

  test("a prefix that is unique will do; one that is not lists what it could mean", async () => {
    const ids = Object.values(story);
    for (const id of ids) {
      const length = [...id].findIndex((_, index) => index > 0 && ids.filter((other) => other.startsWith(id.slice(0, index))).length === 1);
      const prefix = length === -1 ? id : id.slice(0, length);
      expect(JSON.parse((await journal("show", prefix.toUpperCase(), "-o", "json")).stdout)).toMatchObject({ id });
    }
    const several = await journal("show", story.succeeded.slice(0, 3));
    expect([several.code, several.stdout]).toEqual([EXIT.usage, ""]);
    for (const id of ids) expect(several.stderr).toContain(id);
    expect(await journal("show", "zzz")).toMatchObject({ code: EXIT.error, stderr: expect.stringContaining('found none with the id "zzz"') });
  });

  test("an operation whose beginning is not kept any more is shown as the checkpoint knows it", async () => {
    const directory = copy();
    const [oldest = ""] = segmentsIn(directory);
    rmSync(join(directory, oldest));
    const shown = await runHere(["journal", "show", story.unknown, "--dir", directory, "-o", "json"]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ state: "unknown", records: [{ kind: "operation", snapshot: true }] });
  });
});

describe("export", () => {
  test("gives every record once, as lines of JSON in order, snapshots marked", async () => {
    const { stdout, code } = await journal("export", "-o", "jsonl");
    expect(code).toBe(EXIT.done);
    expect(stdout).not.toContain("\u001b");
    const records = stdout.trimEnd().split("\n").map((line): { sequence: number; segment: string; hash: string; snapshot?: true; kind: string } => JSON.parse(line));
    expect(records.map(({ sequence }) => sequence)).toEqual(records.map((_, index) => index + 1));
    expect(records.at(-1)?.hash).toBe(real.journal.head().hash);
    expect(new Set(records.map(({ segment }) => segment))).toEqual(new Set(segmentsIn(real.directory)));
    for (const { kind, snapshot } of records) if (kind === "checkpoint" || kind === "operation") expect(snapshot).toBe(true);
  });

  test("ends without a word when nobody reads on", () => {
    const words = ["journal", "export", "--dir", real.directory].map((word) => `'${word}'`).join(" ");
    const program = process.env["STEWARD_TEST_SOURCE"] === "1" ? `'${process.execPath}' src/main.ts` : "dist/agent";
    const run = Bun.spawnSync(["bash", "-o", "pipefail", "-c", `${program} ${words} | head -n 1`], { cwd: join(import.meta.dir, "../.."), stdout: "pipe", stderr: "pipe" });
    expect([run.stdout.toString().split("\n").length, run.stderr.toString(), run.exitCode]).toEqual([2, "", 0]);
  });
});

describe("verify, by the real program", () => {
  const last = (directory: string): string => segmentsIn(directory).at(-1) ?? "";
  const second = (directory: string): string => segmentsIn(directory)[1] ?? "";
  const inLast = (change: (lines: string[]) => readonly string[]) => (directory: string) => editLines(directory, last(directory), change);
  const tear = (directory: string): void => {
    const path = join(directory, last(directory));
    truncateSync(path, contentOf(readFileSync(path)).length - 9);
  };
  const cases: readonly (readonly [string, (directory: string) => void | Promise<void>, number, string, RegExp])[] = [
    ["an intact journal", () => {}, EXIT.done, "intact", /^intact: \d+ records, head [0-9a-f]{64} at record \d+ in \d{16}\.journal\n$/],
    ["one with LFs and NULs behind its records", (directory) => segmentsIn(directory).forEach((name, index) => appendFileSync(join(directory, name), (index === 0 ? "\0" : "\n").repeat(5_000))), EXIT.done, "intact", /^intact: /],
    ["a torn tail", tear, EXIT.journalTorn, "torn_tail", /^torn: .*\n\d{16}\.journal line \d+ \(byte \d+\): record \d+ is incomplete: a write that was cut short/],
    ["a torn tail in space that was reserved", (directory) => {
      tear(directory);
      appendFileSync(join(directory, last(directory)), "\n".repeat(3_000));
    }, EXIT.journalTorn, "torn_tail", /^torn: /],
    ["a byte flipped in the middle", inLast((lines) => lines.with(-3, flipDigit(lines.at(-3) ?? "", 120))), EXIT.journalCorrupt, "damaged", /line \d+ \(byte \d+\): record \d+ is damaged, and record \d+ of a later batch/],
    ["a line removed", inLast((lines) => lines.toSpliced(-3, 1)), EXIT.journalCorrupt, "removed", /is nowhere in this segment: a line was removed/],
    ["two lines swapped", inLast((lines) => lines.with(-2, lines.at(-1) ?? "").with(-1, lines.at(-2) ?? "")), EXIT.journalCorrupt, "moved", /stands in line \d+: lines were swapped or moved/],
    ["a line twice", inLast((lines) => [...lines, lines.at(-1) ?? ""]), EXIT.journalCorrupt, "repeated", /a line was repeated/],
    ["a segment missing", (directory) => rmSync(join(directory, second(directory))), EXIT.journalCorrupt, "segment_missing", /line 1 \(byte 0\): .* is missing/],
    ["a segment of another journal", async (directory) => {
      const other = await openReal(join(home, "other"), 2_500, 7, "pve2");
      await writeStory(other);
      await other.journal.close();
      copyFileSync(join(other.directory, second(directory)), join(directory, second(directory)));
    }, EXIT.journalCorrupt, "segment_foreign", /it comes from another journal \(node pve2/],
    ["a segment twice", (directory) => copyFileSync(join(directory, second(directory)), join(directory, "0000000000000999.journal")), EXIT.journalCorrupt, "segment_repeated", /is a copy of \d{16}\.journal/],
    ["a segment renamed", (directory) => renameSync(join(directory, second(directory)), join(directory, "0000000000000003.journal")), EXIT.journalCorrupt, "segment_renamed", /the file was renamed/],
  ];
  test.concurrent.each(cases)("%s", async (_name, spoil, code, finding, sentence) => {
    const directory = copy();
    await spoil(directory);
    const text = await runAgent(["journal", "verify", "--dir", directory]);
    expect([text.code, text.stderr]).toEqual([code, ""]);
    expect(text.stdout).toMatch(sentence);
    const said: { outcome: string; problem?: { finding: string; segment: string; line: number; byte: number } } = JSON.parse((await runHere(["journal", "verify", "--dir", directory, "-o", "json"])).stdout);
    expect(said.problem?.finding ?? said.outcome).toBe(finding);
    if (said.problem !== undefined) expect(text.stdout).toContain(`${said.problem.segment} line ${said.problem.line} (byte ${said.problem.byte}): `);
  });

  test("a cut at a line's border: intact by itself, found through a head that was written down", async () => {
    const directory = copy();
    const head = real.journal.head();
    inLast((lines) => lines.slice(0, -1))(directory);
    expect((await runAgent(["journal", "verify", "--dir", directory])).code).toBe(EXIT.done);
    for (const from of [head.hash, head.hash.slice(0, 16)]) {
      expect(await runAgent(["journal", "verify", "--dir", directory, "--from", from])).toMatchObject({
        code: EXIT.journalCorrupt, stdout: expect.stringMatching(new RegExp(`line \\d+ \\(byte \\d+\\): the recorded head ${from} is not in this chain, which ends here with record ${head.sequence - 1}: the end was cut off`)),
      });
    }
    expect((await journal("verify", "--from", head.hash)).stdout).toContain(`the recorded head is record ${head.sequence} in ${head.segment}: nothing up to it was changed`);
  });

  test.skipIf(process.getuid?.() !== 0)("reads a copy that is read-only, somebody else's and without its lock file", async () => {
    const directory = copy();
    rmSync(join(directory, "lock"));
    for (const name of segmentsIn(directory)) chmodSync(join(directory, name), 0o444);
    Bun.spawnSync(["chown", "-R", "65534", directory]);
    chmodSync(directory, 0o555);
    for (const words of [["verify"], ["ls"], ["show", story.failed], ["tail"], ["export"]]) expect([words, (await runAgent(["journal", ...words, "--dir", directory])).code]).toEqual([words, EXIT.done]);
    expect(existsSync(join(directory, "lock"))).toBe(false);
    chmodSync(directory, 0o755);
  });

  test("ls, show and export of a damaged journal show what can be read, say so, and exit as verify does", async () => {
    const torn = copy();
    tear(torn);
    const corrupt = copy();
    inLast((lines) => lines.with(-3, "damaged"))(corrupt);
    for (const [directory, code] of [[torn, EXIT.journalTorn], [corrupt, EXIT.journalCorrupt]] as const) {
      for (const words of [["ls"], ["export"], ["tail"]]) {
        const { code: found, stdout, stderr } = await runHere(["journal", ...words, "--dir", directory]);
        expect([words, found, stdout.split("\n").length > 5]).toEqual([words, code, true]);
        expect(stderr).toMatch(/damaged: \d{16}\.journal line \d+ \(byte \d+\)/);
      }
    }
  });

  test("where there is no journal all of them say so, and what to do", async () => {
    const empty = join(temporaryDirectory(), "empty");
    mkdirSync(empty);
    for (const directory of [empty, join(empty, "nothing")]) {
      for (const words of [["verify"], ["ls"], ["show", "x"], ["tail"], ["tail", "-f"], ["export"]]) {
        expect(await runHere(["journal", ...words, "--dir", directory])).toMatchObject({ code: EXIT.error, stdout: "", stderr: expect.stringContaining("name another with --dir") });
      }
    }
  });
});

describe("tail", () => {
  test("gives the newest, in order, and so many as are asked for", async () => {
    expect(sequences((await journal("ls", "--limit", "10")).stdout)).toEqual((await journal("tail")).stdout.trimEnd().split("\n").map((line) => Number.parseInt(line, 10)));
    expect((await journal("tail", "-n", "3")).stdout.trimEnd().split("\n")).toHaveLength(3);
    const [json = ""] = (await journal("tail", "-n", "1", "-o", "json")).stdout.split("\n");
    expect(JSON.parse(json)).toMatchObject({ sequence: real.journal.head().sequence, segment: real.journal.head().segment, kind: "fact" });
  });

  test("-f follows over rotations and a compaction that removes what it read, names the guests, and ends on Ctrl-C", async () => {
    const written = await openReal(join(temporaryDirectory(), "journal"), 1_500);
    const { id } = (await written.journal.begin({ guest: { kind: "lxc", vmid: 777, identity: {} }, action: "start", params: {}, provenance: "desired" }) as { value: { id: string } }).value;
    await using tail = startAgent(["journal", "tail", "-f", "-n", "1", "--dir", written.directory]);
    await tail.wrote(/lxc\/777/);
    for (let round = 0; round < 30; round++) await written.journal.putFact("w", "k", round);
    await tail.wrote(/w\/k = 29/);
    await written.journal.compact();
    for (const name of segmentsIn(written.directory).slice(0, -1)) rmSync(join(written.directory, name));
    await written.journal.apply(id, { type: "succeed", by: "answer" });
    await tail.wrote(/lxc\/777 +\S+ +succeed +by answer/);
    const values = [...tail.stdout().matchAll(/w\/k = (\d+)/g)].map(([, value]) => Number(value));
    expect(values).toEqual(values.map((_, index) => index));
    expect(values).toHaveLength(30);
    tail.signal("SIGINT");
    expect([await tail.end(), tail.stderr()]).toEqual([EXIT.done, ""]);
    await written.journal.close();
  });

  test("-f ends when nobody reads on", async () => {
    const written = await openReal(join(temporaryDirectory(), "journal"));
    await written.journal.putFact("w", "k", 0);
    const program = process.env["STEWARD_TEST_SOURCE"] === "1" ? `'${process.execPath}' src/main.ts` : "dist/agent";
    const piped = Bun.spawn(["bash", "-o", "pipefail", "-c", `${program} journal tail -f --dir '${written.directory}' | head -n 1`], { cwd: join(import.meta.dir, "../.."), stdout: "pipe", stderr: "pipe" });
    let round = 1;
    await until("the end of tail", async () => {
      await written.journal.putFact("w", "k", round++);
      return piped.exitCode !== null;
    });
    expect([piped.exitCode, await new Response(piped.stderr).text()]).toEqual([0, ""]);
    await written.journal.close();
  });
});

describe("compact", () => {
  test("without an agent it takes the lock itself; while somebody holds it, it says who", async () => {
    const state = temporaryDirectory();
    const written = await openReal(join(state, "journal"), 100_000);
    await writeStory(written);
    const config = join(state, "agent.yaml");
    writeFileSync(config, "node: pve1\n", { mode: 0o600 });
    const words = ["--config", config, "--state-dir", state, "--socket", join(state, "agent.sock"), "journal", "compact"];
    expect(await runHere(words)).toMatchObject({ code: EXIT.locked, stdout: "", stderr: expect.stringMatching(/held by process \d+: steward 0\.1\.0 on pve1/) });
    await written.journal.close();
    const done = await runAgent(words);
    expect(done).toMatchObject({ code: EXIT.done, stderr: "", stdout: expect.stringMatching(/^Compacted: the journal goes on in \d{16}\.journal \(\d+ records of live state, \d+ bytes\); \d older segments? kept for audit, 0 removed\.\n$/) });
    expect((await runHere(["journal", "verify", "--dir", written.directory])).code).toBe(EXIT.done);
    expect(JSON.parse((await runHere([...words, "-o", "json"])).stdout)).toMatchObject({ removed: [], records: expect.any(Number) });
    expect((await runHere(["journal", "show", story.unknown, "--dir", written.directory])).stdout).toMatch(/^state +unknown$/m);
  });

  test("is done by the agent that runs, which goes on recording; its old segment stays readable", async () => {
    await using site = await Site.open({ files: { "qemu-server/100": machine({ name: "web" }) }, desired: { "guests.yaml": guests({ vmid: 100, kind: "qemu", config: { description: "declared" } }) } });
    const daemon = await site.daemon();
    await daemon.ready();
    await site.shows(["op", "ls", "--all"], /set_config +succeeded/);
    const done: { readonly segment: string; readonly kept: readonly string[] } = JSON.parse((await site.run(["journal", "compact", "-o", "json"])).stdout);
    expect(done.kept).toEqual(["0000000000000001.journal"]);
    await site.edit({ vmid: 100, set: { description: "by hand" } });
    await site.shows(["journal", "ls", "--op", "set_config", "--state", "succeeded"], /\n\d+ .*succeed/);
    expect((await site.run(["journal", "verify"])).stdout).toContain(`in ${done.segment}`);
    expect(await daemon.process.stop()).toBe(0);
  });

  test("makes no journal where there is none", async () => {
    const state = temporaryDirectory();
    expect(await runHere(["--state-dir", state, "--socket", join(state, "agent.sock"), "journal", "compact"])).toMatchObject({ code: EXIT.error, stderr: expect.stringContaining("name another state directory") });
    expect(existsSync(join(state, "journal"))).toBe(false);
  });
});
