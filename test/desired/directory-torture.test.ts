import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, closeSync, constants, linkSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDirectorySource, DEFAULT_RECHECK_INTERVAL_MS } from "../../src/desired/directory-source.ts";
import { type DirectoryFiles, realDirectoryFiles } from "../../src/desired/directory-files.ts";
import { FILES_MAX, SET_BYTES_MAX, SETTLE_MS } from "../../src/desired/directory-scan.ts";
import type { DesiredReport, DesiredSource } from "../../src/desired/model.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Log } from "../../src/ports/log.ts";
import { ok } from "../../src/ports/errors.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { declaring, told, vmids } from "./reports.ts";
import { restedClock, settleUntil, untilTrue } from "./waiting.ts";

/**
 * What editors, generators, file systems and people do to a directory: the last good set stays in force, the
 * message names the file, and the set is used again once it is right.
 */

const open: DesiredSource[] = [];
const servers: Server[] = [];
const pipes: number[] = [];
afterEach(() => {
  for (const source of open.splice(0)) source.close();
  for (const server of servers.splice(0)) server.close();
  for (const pipe of pipes.splice(0)) closeSync(pipe);
});

const quiet = () => undefined;
const log: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

function sourceOf(path: string, options: { clock?: Clock; files?: DirectoryFiles } = {}): DesiredSource {
  const source = createDirectorySource({ path, clock: restedClock(), log, ...options });
  open.push(source);
  return source;
}

function write(directory: string, name: string, text: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const utf16 = (text: string, mark: readonly number[]) => Uint8Array.from([...mark, ...Buffer.from(text, "utf16le")]);
const laughs = ["x: &a0 [lol]", ...Array.from({ length: 20 }, (_, level) => `x${level}: &a${level + 1} [${Array.from({ length: 9 }, () => `*a${level}`).join(",")}]`)].join("\n");
const chained = ["x: &a0 [lol]", ...Array.from({ length: 5_000 }, (_, level) => `x${level}: &a${level + 1} [*a${level}]`)].join("\n");

describe("one bad file", () => {
  const cases: readonly (readonly [string, string, (path: string) => void | Promise<void>, RegExp])[] = [
    ["aliases that multiply", "b.yaml", (path) => writeFileSync(path, laughs), /^desired\.too_large FILE:\d+:\d+: expected at most 250000 values with aliases written out/],
    ["aliases that nest five thousand levels", "b.yaml", (path) => writeFileSync(path, chained), /^desired\.too_large FILE:\d+:\d+: expected at most 250000 values/],
    ["a hundred thousand brackets", "b.yaml", (path) => writeFileSync(path, "[".repeat(100_000)), /^desired\.too_large FILE:1:\d+: expected at most 32 levels/],
    ["a hundred thousand brackets of JSON", "b.json", (path) => writeFileSync(path, "[".repeat(100_000) + "]".repeat(100_000)), /^desired\.too_large FILE:1:\d+: expected at most 32 levels/],
    ["a hundred thousand maps of JSON", "b.json", (path) => writeFileSync(path, '{"a":'.repeat(100_000)), /^desired\.too_large FILE:1:\d+: expected at most 32 levels/],
    ["a key twice", "b.yaml", (path) => writeFileSync(path, "version: 1\nguests: []\nversion: 1\n"), /^desired\.syntax FILE:3:1: expected each key once, found `version` again \(first at FILE:1:1\)/],
    ["a key twice in JSON, where the last would win", "b.json", (path) => writeFileSync(path, '{"version": 1, "guests": [],\n "guests": [{"vmid": 102, "kind": "qemu"}]}'), /^desired\.syntax FILE:2:2: expected each key once, found `guests` again/],
    ["a key twice, once by escapes", "b.json", (path) => writeFileSync(path, '{"version": 1, "guests": [], "\\u0067uests": []}'), /^desired\.syntax FILE:1:30: expected each key once/],
    ["merge keys", "b.yaml", (path) => writeFileSync(path, "version: 1\nguests:\n  - &base { vmid: 102, kind: qemu }\n  - { <<: *base, vmid: 103 }\n"), /^desired\.schema FILE:4:7: guests\[1\]\.<<: expected a field of this format|^desired\.schema FILE:4:5: guests\[1\]\.kind/],
    ["two merge keys", "b.yaml", (path) => writeFileSync(path, "version: 1\nguests:\n  - &base { vmid: 102, kind: qemu }\n  - { <<: *base, <<: *base }\n"), /^desired\.syntax FILE:4:18: expected each key once, found `<<` again/],
    ["UTF-16, little end first", "b.yaml", (path) => writeFileSync(path, utf16(declaring(102), [0xff, 0xfe])), /^desired\.syntax FILE:1:1: expected UTF-8 text, found the mark of UTF-16/],
    ["a tab as indentation", "b.yaml", (path) => writeFileSync(path, "version: 1\nguests:\n\t- vmid: 102\n"), /^desired\.syntax FILE:3:1: expected spaces, found a tab/],
    ["a merge conflict", "b.yaml", (path) => writeFileSync(path, `<<<<<<< HEAD\n${declaring(102)}=======\n${declaring(103)}>>>>>>> branch\n`), /^desired\.syntax FILE:\d:\d/],
    ["an executable", "b.yaml", (path) => writeFileSync(path, Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0])), /^desired\.syntax FILE:1:8: expected text, found a NUL/],
    ["a symlink to a directory", "b.yaml", (path) => symlinkSync("/", path), /^desired\.unreadable FILE: expected a file, found something else/],
    ["a symlink to an endless device", "b.yaml", (path) => symlinkSync("/dev/zero", path), /^desired\.unreadable FILE: expected a file, found something else/],
    ["a symlink to a terminal", "b.yaml", (path) => symlinkSync("/dev/tty", path), /^desired\.unreadable FILE: expected a file, found something else/],
    ["two symlinks to each other", "b.yaml", (path) => (symlinkSync("c.other", path), symlinkSync("b.yaml", join(path, "../c.other"))), /^desired\.unreadable FILE: .*found a symlink that leads back to itself/],
    ["a symlink through what is no directory", "b.yaml", (path) => symlinkSync("a.yaml/x", path), /^desired\.unreadable FILE: expected a readable file, found a file; correct the path/],
    ["a kernel file that has no end", "b.yaml", (path) => symlinkSync("/proc/kmsg", path), /^desired\.empty FILE:1:1: /],
    ["a socket", "b.yaml", (path) => listen(path), /^desired\.unreadable FILE: expected a file, found something else/],
    ["a named pipe that somebody writes to", "b.yaml", (path) => writtenPipe(path), /^desired\.unreadable FILE: expected a file, found something else/],
    ["a name with a line end and an escape sequence", "b\n\u001B[2J.yaml", (path) => writeFileSync(path, ""), /^desired\.empty "[^\n\u001B]*\/b\\n\\u001b\[2J\.yaml":1:1: expected a document/],
    ["a name that turns the direction of writing", "b\u202Elmay.yaml", (path) => writeFileSync(path, ""), /^desired\.empty "[^\u202E]*\/b\\u202elmay\.yaml":1:1: expected a document/],
    ["a name of 255 bytes", `${"x".repeat(250)}.yaml`, (path) => writeFileSync(path, ""), /^desired\.empty FILE:1:1: expected a document/],
  ];

  test.each(cases)("%s: is told of, and everything stays as it was until it is gone", async (_, name, spoil, message) => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    const source = sourceOf(directory);
    await source.load();
    const path = join(directory, name);
    await spoil(path);
    const bad = await source.load();
    expect(told(bad).map((line) => line.replaceAll(path, "FILE"))).toEqual(expect.arrayContaining([expect.stringMatching(message)]));
    expect(vmids(bad)).toEqual([101]);
    rmSync(path);
    const mended = await source.load();
    expect({ told: told(mended), vmids: vmids(mended) }).toEqual({ told: [], vmids: [101] });
  });

  function writtenPipe(path: string): void {
    Bun.spawnSync(["mkfifo", path]);
    const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    pipes.push(pipe);
    writeSync(pipe, "version: 1\n");
  }

  async function listen(path: string): Promise<void> {
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
  }

  test("a name that is not UTF-8", async () => {
    const directory = temporaryDirectory();
    writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0x62, 0xe4]), Buffer.from(".yaml")]), declaring(102));
    expect(told(await sourceOf(directory).load())).toEqual([`desired.unreadable ${directory}/b\uFFFD.yaml: expected a file name in UTF-8, found one that is not; rename the file`]);
  });

  test.each([
    ["a byte order mark and line ends of Windows", (path: string) => writeFileSync(path, `\uFEFF${declaring(102).replaceAll("\n", "\r\n")}`)],
    ["a symlink to a file elsewhere", (path: string) => symlinkSync(write(temporaryDirectory(), "elsewhere.txt", declaring(102)), path)],
  ] as const)("%s is no problem", async (_, make) => {
    const directory = temporaryDirectory();
    make(join(directory, "b.yaml"));
    const report = await sourceOf(directory).load();
    expect({ told: told(report), vmids: vmids(report) }).toEqual({ told: [], vmids: [102] });
  });

  test("one on which the parser itself fails costs that file and not the agent", async () => {
    class Cursed extends Uint8Array {
      override indexOf(): number {
        throw new RangeError("Maximum call stack size exceeded");
      }
    }
    const directory = temporaryDirectory();
    const path = write(directory, "a.yaml", declaring(101));
    let isCursed = false;
    const files: DirectoryFiles = {
      ...realDirectoryFiles,
      read: async (file, maxBytes) => {
        const reading = await realDirectoryFiles.read(file, maxBytes);
        return isCursed ? { ...reading, content: ok(new Cursed(9)) } : reading;
      },
    };
    const source = sourceOf(directory, { files });
    await source.load();
    isCursed = true;
    const report = await source.load();
    expect(told(report)[0]).toStartWith(`desired.syntax ${path}:1:1: expected a text that can be parsed, found one on which the parser fails (RangeError)`);
    expect(vmids(report)).toEqual([101]);
  });
});

describe("many files", () => {
  test("a thousand: everything else has a turn between any two", async () => {
    const directory = temporaryDirectory();
    for (let index = 0; index < 1_000; index++) write(directory, `${index}.yaml`, declaring(100 + index));
    let turns = 0;
    let isDone = false;
    const count = () => void (isDone || (turns++, setImmediate(count)));
    setImmediate(count);
    const report = await sourceOf(directory).load();
    isDone = true;
    expect(vmids(report)).toHaveLength(1_000);
    expect(turns).toBeGreaterThanOrEqual(1_000);
  });

  test("ten thousand are refused with what to do, and none of them is read", async () => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    let reads = 0;
    const files: DirectoryFiles = { ...realDirectoryFiles, read: (path, maxBytes) => (reads++, realDirectoryFiles.read(path, maxBytes)) };
    const source = sourceOf(directory, { files });
    await source.load();
    for (let index = 0; index < 10_000; index++) linkSync(join(directory, "a.yaml"), join(directory, `${index}.yaml`));
    const report = await source.load();
    expect(told(report)).toEqual([`desired.too_large ${directory}: expected at most ${FILES_MAX} files, found 10001; put several guests into one file`]);
    expect({ vmids: vmids(report), reads }).toEqual({ vmids: [101], reads: 1 });
  });

  test("more bytes than a set may have are not read to their end", async () => {
    const directory = temporaryDirectory();
    const filler = "#".repeat(1024 * 1024);
    for (let index = 0; index < 30; index++) write(directory, `${index}.yaml`, filler);
    let reads = 0;
    const files: DirectoryFiles = { ...realDirectoryFiles, read: (path, maxBytes) => (reads++, realDirectoryFiles.read(path, maxBytes)) };
    const report = await sourceOf(directory, { files }).load();
    expect(told(report)).toEqual([`desired.too_large ${directory}: expected at most ${SET_BYTES_MAX} bytes in all files together, found more; declare less, or fewer guests a host`]);
    expect(reads).toBeLessThan(20);
  });

  test("five thousand events are a few looks, and a change among them is told", async () => {
    const directory = temporaryDirectory();
    const path = write(directory, "a.yaml", declaring(101));
    let event = () => undefined as void;
    let lists = 0;
    const files: DirectoryFiles = {
      ...realDirectoryFiles,
      list: (name) => (lists++, realDirectoryFiles.list(name)),
      watch: (_, onEvent) => ((event = onEvent), ok(() => undefined)),
    };
    const clock = restedClock();
    const source = sourceOf(directory, { clock, files });
    let hints = 0;
    source.watch(() => hints++);
    await source.load();
    await untilTrue(() => clock.pendingTimers() > 0);
    lists = 0;
    writeFileSync(path, declaring(102));
    for (let round = 0; round < 500; round++) {
      for (let index = 0; index < 10; index++) event();
      await clock.advance(2);
    }
    await untilTrue(() => hints > 0);
    // A second has passed: at most ten looks, each of which lists the names twice.
    expect(lists).toBeLessThanOrEqual(20);
  });
});

describe("a writer that never rests", () => {
  /** Rewrites a file whenever its content was read, until `stop`. */
  function rewriting(path: string, clock: FakeClock, textOf: (round: number) => string): DirectoryFiles {
    let round = 0;
    return {
      ...realDirectoryFiles,
      async list(directory) {
        // As if it had been written 100 ms ago, over and over.
        writeFileSync(path, textOf(round++));
        const at = new Date(clock.now() - SETTLE_MS / 2);
        utimesSync(path, at, at);
        return realDirectoryFiles.list(directory);
      },
      // Times are what this is about; inodes and change times are not.
      look: async (file) => ({ ...(await realDirectoryFiles.look(file)), stamp: "same" }),
      read: async (file, maxBytes) => ({ ...(await realDirectoryFiles.read(file, maxBytes)), stamp: "same" }),
    };
  }

  test("and always writes the same is read", async () => {
    const directory = temporaryDirectory();
    const path = write(directory, "a.yaml", declaring(101));
    const clock = restedClock();
    const loading = sourceOf(directory, { clock, files: rewriting(path, clock, () => declaring(102)) }).load();
    await settleUntil(clock, loading);
    expect({ told: told(await loading), vmids: vmids(await loading) }).toEqual({ told: [], vmids: [102] });
  });

  test("and always writes something else is named, and read as soon as it rests", async () => {
    const directory = temporaryDirectory();
    const path = write(directory, "a.yaml", declaring(101));
    const clock = restedClock();
    let files = realDirectoryFiles;
    const source = sourceOf(directory, { clock, files: { ...realDirectoryFiles, list: (name) => files.list(name) } });
    await source.load();
    files = rewriting(path, clock, (round) => declaring(200 + round));
    const loading = source.load();
    await settleUntil(clock, loading);
    expect(told(await loading)).toEqual([expect.stringContaining(`${path}: expected this to rest for ${SETTLE_MS} ms, found it changing for 5 s`)]);
    expect(vmids(await loading)).toEqual([101]);
    files = realDirectoryFiles;
    write(directory, "a.yaml", declaring(102));
    const mended = source.load();
    await settleUntil(clock, mended);
    expect(vmids(await mended)).toEqual([102]);
  });

  test("and writes in pieces for real: no piece of it is ever believed", async () => {
    const directory = temporaryDirectory();
    const path = write(directory, "a.yaml", declaring(101));
    const source = sourceOf(directory, { clock: new SystemClock() });
    await source.load();
    const text = `${declaring(102)}# the end\n`;
    const file = openSync(path, "w");
    const seen: DesiredReport[] = [];
    const loading = source.load().then((report) => seen.push(report));
    for (const piece of text.match(/.{1,12}\n?/gs) ?? []) {
      writeSync(file, piece);
      await Bun.sleep(40);
    }
    closeSync(file);
    await loading;
    expect(seen.map(vmids)).toEqual([[102]]);
    expect(seen.flatMap(told)).toEqual([]);
    expect(readFileSync(path, "utf8")).toBe(text);
  });
});

describe("clocks that jump", () => {
  test.each([["an hour", 3_600_000], ["ten years", 10 * 365 * 86_400_000]])("%s ahead while a file is being written: its age is not believed", async (_, jumpMs) => {
    const directory = temporaryDirectory();
    const path = write(directory, "a.yaml", declaring(101));
    const clock = new FakeClock(Math.ceil(statSync(path).mtimeMs) + 1_000);
    const source = sourceOf(directory, { clock });
    await source.load();
    write(directory, "a.yaml", declaring(102));
    clock.jumpWallClock(jumpMs);
    const loading = source.load();
    await untilTrue(() => clock.pendingTimers() > 0);
    write(directory, "a.yaml", declaring(102, 103));
    await settleUntil(clock, loading);
    expect(vmids(await loading)).toEqual([102, 103]);
  });

  test.each([["an hour", 3_600_000], ["ten years", 10 * 365 * 86_400_000]])("%s back: files seem to come from the future, and are read once they rest", async (_, jumpMs) => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    const clock = restedClock();
    const source = sourceOf(directory, { clock });
    await source.load();
    clock.jumpWallClock(-3_600_000 - jumpMs);
    write(directory, "a.yaml", declaring(102));
    const loading = source.load();
    await settleUntil(clock, loading);
    expect(vmids(await loading)).toEqual([102]);
  });

  test("content that changes at the same size, with its times put back, is noticed by looking", async () => {
    const directory = temporaryDirectory();
    const path = write(directory, "a.yaml", declaring(101));
    const before = statSync(path);
    const clock = restedClock();
    const files: DirectoryFiles = { ...realDirectoryFiles, watch: () => ok(() => undefined) };
    const source = sourceOf(directory, { clock, files });
    let hints = 0;
    source.watch(() => hints++);
    await source.load();
    await untilTrue(() => clock.pendingTimers() > 0);
    write(directory, "a.yaml", declaring(109));
    utimesSync(path, before.atime, before.mtime);
    expect(statSync(path).size).toBe(before.size);
    await clock.advance(DEFAULT_RECHECK_INTERVAL_MS);
    await untilTrue(() => hints > 0);
    expect(vmids(await source.load())).toEqual([109]);
  });
});

describe("the directory itself", () => {
  test("replaced by a file, by a symlink, by nothing, by an empty one: each is told, nothing is lost, and it recovers", async () => {
    const parent = temporaryDirectory();
    const path = join(parent, "desired");
    const source = sourceOf(path);
    mkdirSync(path);
    write(path, "a.yaml", declaring(101));
    await source.load();
    renameSync(path, join(parent, "aside"));
    for (const [make, message] of [
      [() => write(parent, "desired", "not a directory"), `desired.unreadable ${path}: expected a directory, found a file; correct the path`],
      [() => symlinkSync("nowhere", path), `desired.unreadable ${path}: expected a directory, found nothing (or a symlink to nothing)`],
      [() => symlinkSync("desired", path), `desired.unreadable ${path}: expected a directory, found a symlink that leads back to itself`],
      [() => undefined, `desired.unreadable ${path}: expected a directory, found nothing (or a symlink to nothing)`],
      [() => mkdirSync(path), `desired.empty ${path}: expected at least one *.yaml`],
    ] as const) {
      make();
      const report = await source.load();
      expect(told(report)).toEqual([expect.stringContaining(message)]);
      expect(vmids(report)).toEqual([101]);
      rmSync(path, { recursive: true, force: true });
    }
    symlinkSync("aside", path);
    const report = await source.load();
    expect({ told: told(report), vmids: vmids(report) }).toEqual({ told: [], vmids: [101] });
  });

  test("a path with a line end in it is escaped in every message", async () => {
    const path = join(temporaryDirectory(), "a\nb");
    expect(told(await sourceOf(path).load())[0]).toMatch(/^desired\.unreadable ".*\/a\\nb": expected a directory, found nothing/);
    mkdirSync(path);
    expect(told(await sourceOf(path).load())[0]).toMatch(/^desired\.empty ".*\/a\\nb": expected at least one/);
  });

  test("a mounted ConfigMap, which everybody may write, is refused with what to do", async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, "..2026_01_01"));
    write(join(directory, "..2026_01_01"), "a.yaml", declaring(101));
    symlinkSync("..2026_01_01", join(directory, "..data"));
    symlinkSync("..data/a.yaml", join(directory, "a.yaml"));
    chmodSync(directory, 0o777);
    expect(told(await sourceOf(directory).load())).toEqual([expect.stringContaining("run chmod o-w on it, or copy its files to a directory of mode 755 where it cannot be changed (a mounted ConfigMap)")]);
  });

  test.skipIf(!canMount())("mounted over and unmounted again", async () => {
    const path = mkdtempSync(join(tmpdir(), "steward-mounted-"));
    try {
      write(path, "a.yaml", declaring(101));
      const source = sourceOf(path);
      await source.load();
      mount(path);
      try {
        const empty = await source.load();
        expect(told(empty)).toEqual([expect.stringContaining(`desired.empty ${path}`)]);
        expect(vmids(empty)).toEqual([101]);
        write(path, "b.yaml", declaring(102));
        expect(vmids(await source.load())).toEqual([102]);
      } finally {
        Bun.spawnSync(["umount", "--lazy", path]);
      }
      expect(vmids(await source.load())).toEqual([101]);
    } finally {
      rmSync(path, { recursive: true, force: true });
    }
  });

  const nobody = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
  test.skipIf(!canRun([...nobody, process.execPath, "--version"]))("permissions lost and regained, as seen by a user who is not root", () => {
    const directory = temporaryDirectory();
    const inside = join(directory, "desired");
    mkdirSync(inside);
    const file = write(inside, "a.yaml", declaring(101));
    chmodSync(directory, 0o755);
    const script = join(directory, "look.js");
    writeFileSync(script, bundled());
    const seen = () => {
      const { stdout, stderr } = Bun.spawnSync([...nobody, process.execPath, script, inside], { env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent" } });
      return stdout.toString() === "" ? stderr.toString() : stdout.toString();
    };
    chmodSync(inside, 0o000);
    expect(seen()).toContain(`desired.unreadable ${inside}: expected a directory, found that the agent's user may not read it; give it the group of the agent's user (chgrp) and let the group read it (chmod g+r, of a directory g+rx)`);
    chmodSync(inside, 0o744);
    if (nobody.length > 0) expect(seen()).toContain(`desired.unreadable ${file}: expected a readable file, found that the agent's user may not read it`);
    chmodSync(inside, 0o755);
    chmodSync(file, 0o000);
    expect(seen()).toContain(`desired.unreadable ${file}: expected a readable file, found that the agent's user may not read it; give it the group of the agent's user (chgrp) and let the group read it (chmod g+r, of a directory g+rx)`);
    chmodSync(file, 0o644);
    expect(seen()).toContain("vmids 101");
  });

  /** As a user of a host that has no watches left, without taking them from anybody: the limit is one of a user namespace. */
  const watchless = ["unshare", "--user", "--map-root-user", "sh", "-c", 'echo 0 >/proc/sys/user/max_inotify_watches && exec "$@"', "sh"];
  test.skipIf(!canRun([...watchless, process.execPath, "--version"]))("on a host that is out of watches, changes are found by looking, and the log says so", async () => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    const script = join(temporaryDirectory(), "look.js");
    writeFileSync(script, bundled());
    const child = Bun.spawn([...watchless, process.execPath, script, directory, "102"], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    let out = "";
    for await (const chunk of child.stdout) {
      out += new TextDecoder().decode(chunk);
      if (out.endsWith("vmids 101\n")) write(directory, "a.yaml", declaring(102));
    }
    expect(await child.exited).toBe(0);
    const [first, warning, ...rest] = out.trimEnd().split("\n");
    expect(first).toBe("vmids 101");
    expect(warning).toMatch(/^cannot watch the desired-state directory; changes are found by looking instead .*out of file handles or watches \(ENOSPC\); raise fs\.inotify\.max_user_watches/);
    expect(rest).toEqual(["vmids 102"]);
  });
});

let bundle: string | undefined;

/** A program that loads a directory and prints what it was told, once or until a vmid is declared: as one file, since another user may not be able to read the sources. */
function bundled(): string {
  if (bundle !== undefined) return bundle;
  const entry = join(temporaryDirectory(), "entry.ts");
  const root = join(import.meta.dir, "../../src");
  writeFileSync(entry, [
    `import { createDirectorySource } from ${JSON.stringify(join(root, "desired/directory-source.ts"))};`,
    `import { SystemClock } from ${JSON.stringify(join(root, "runtime/clock.ts"))};`,
    "const [, , path, vmid] = process.argv;",
    "const quiet = () => undefined;",
    "const warn = (message, { error }) => console.log(`${message} ${error}`);",
    "const source = createDirectorySource({ path, recheckIntervalMs: 100, clock: new SystemClock(), log: { debug: quiet, info: quiet, warn, error: quiet } });",
    "const load = async () => {",
    "  const { state, problems } = await source.load();",
    "  for (const { code, message } of problems) console.log(`${code} ${message}`);",
    '  if (state !== undefined) console.log(`vmids ${[...state.guests.keys()].join(" ")}`);',
    "  if (vmid === undefined || state?.guests.has(Number(vmid))) process.exit(0);",
    "};",
    "await load();",
    "setInterval(quiet, 1_000);",
    "source.watch(load);",
  ].join("\n"));
  const built = Bun.spawnSync([process.execPath, "build", "--target=bun", entry]);
  if (!built.success) throw new Error(built.stderr.toString());
  bundle = built.stdout.toString();
  return bundle;
}

function canRun(words: readonly string[]): boolean {
  const isRunnable = Bun.which(words[0] ?? "") !== null && Bun.spawnSync([...words], { stdout: "ignore", stderr: "ignore" }).success;
  if (!isRunnable) console.log(`SKIPPED: permissions need ${words.join(" ")} to work here`);
  return isRunnable;
}

function mount(path: string): boolean {
  return Bun.which("mount") !== null && Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", path], { stdout: "ignore", stderr: "ignore" }).success;
}

function canMount(): boolean {
  const path = mkdtempSync(join(tmpdir(), "steward-mount-"));
  try {
    if (!mount(path)) {
      console.log("SKIPPED: a directory that is mounted over needs root and the right to mount a tmpfs");
      return false;
    }
    Bun.spawnSync(["umount", "--lazy", path]);
    return true;
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}
