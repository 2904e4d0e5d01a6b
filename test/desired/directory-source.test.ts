import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createDirectorySource, DEFAULT_RECHECK_INTERVAL_MS } from "../../src/desired/directory-source.ts";
import { type DirectoryFiles, realDirectoryFiles } from "../../src/desired/directory-files.ts";
import { FILE_BYTES_MAX, FILES_MAX, SETTLE_MS } from "../../src/desired/directory-scan.ts";
import type { DesiredSource } from "../../src/desired/model.ts";
import { fault } from "../../src/ports/errors.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Log } from "../../src/ports/log.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { declaring, told, vmids } from "./reports.ts";
import { restedClock, settleUntil, untilTrue } from "./waiting.ts";

const open: DesiredSource[] = [];
afterEach(() => {
  for (const source of open.splice(0)) source.close();
});

const warnings: string[] = [];
const log: Log = { debug: () => undefined, info: () => undefined, warn: (message) => void warnings.push(message), error: (message) => void warnings.push(message) };

function sourceOf(path: string, options: { clock?: Clock; files?: DirectoryFiles; recheckIntervalMs?: number } = {}): DesiredSource {
  const source = createDirectorySource({ path, clock: restedClock(), log, ...options });
  open.push(source);
  return source;
}

function write(directory: string, name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

describe("what is read", () => {
  test("every yaml, yml and json file; nothing hidden, nothing else, no subdirectory", async () => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    write(directory, "b.yml", declaring(102));
    write(directory, "c.json", '{"version":1,"guests":[{"vmid":103,"kind":"lxc"}]}');
    for (const name of [".hidden.yaml", "a.yaml~", "a.yaml.bak", "#a.yaml#", "notes.txt", "d.YAML", ".a.yaml.swp", "desired.schema.json"]) write(directory, name, "not: [desired");
    mkdirSync(join(directory, "more"));
    write(join(directory, "more"), "e.yaml", declaring(104));
    const report = await sourceOf(directory).load();
    expect(told(report)).toEqual([]);
    expect(vmids(report)).toEqual([101, 102, 103]);
  });

  test("positions name the file by its whole path", async () => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    const report = await sourceOf(directory).load();
    expect(report.state?.guests.get(101)?.position).toEqual({ file: join(directory, "a.yaml"), line: 2, column: 10 });
  });
});

describe("what cannot be used says so, names the file, and keeps the last good set", () => {
  const cases: [string, (path: string, directory: string) => void, string][] = [
    ["an empty file", (path) => writeFileSync(path, ""), "desired.empty FILE:1:1: expected a document"],
    ["a truncated file", (path) => writeFileSync(path, declaring(102).slice(0, 30)), "desired.syntax FILE:2:"],
    ["a NUL byte", (path) => writeFileSync(path, "version: 1\n\0"), "desired.syntax FILE:2:1: expected text, found a NUL byte"],
    ["bytes that are not UTF-8", (path) => writeFileSync(path, Uint8Array.from([0x61, 0x3a, 0x20, 0xff])), "desired.syntax FILE:1:4: expected UTF-8 text"],
    ["a file over the limit", (path) => writeFileSync(path, "#".repeat(FILE_BYTES_MAX + 1)), `desired.too_large FILE: expected at most ${FILE_BYTES_MAX} bytes, found ${FILE_BYTES_MAX + 1}`],
    ["ten megabytes", (path) => truncateSync((writeFileSync(path, ""), path), 10_000_000), `desired.too_large FILE: expected at most ${FILE_BYTES_MAX} bytes, found 10000000`],
    ["a directory by that name", (path) => mkdirSync(path), "desired.unreadable FILE: expected a file, found something else"],
    ["a named pipe", (path) => void Bun.spawnSync(["mkfifo", path]), "desired.unreadable FILE: expected a file, found something else"],
    ["a symlink to itself", (path) => symlinkSync("b.yaml", path), "desired.unreadable FILE: expected a readable file, found a symlink that leads back to itself"],
    ["a symlink to nothing", (path) => symlinkSync("nowhere", path), "desired.unreadable FILE: expected a readable file, found nothing (or a symlink to nothing)"],
    ["a file that everybody can write", (path) => (writeFileSync(path, declaring(102)), chmodSync(path, 0o666)), "desired.unreadable FILE: expected a file that only its owner and group can write"],
    ["a reserved field", (path) => writeFileSync(path, "version: 1\nguests: []\nbackends: []\n"), "desired.reserved FILE:3:1: backends: not supported"],
  ];

  test.each(cases)("%s", async (_, spoil, message) => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    const source = sourceOf(directory);
    await source.load();
    const path = join(directory, "b.yaml");
    spoil(path, directory);
    const bad = await source.load();
    expect(told(bad)).toEqual([expect.stringContaining(message.replace("FILE", path))]);
    expect(vmids(bad)).toEqual([101]);
    rmSync(path, { recursive: true });
    write(directory, "b.yaml", declaring(102));
    const mended = await source.load();
    expect(told(mended)).toEqual([]);
    expect(vmids(mended)).toEqual([101, 102]);
  });

  test("a file without read permission", async () => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    const denied: DirectoryFiles = {
      ...realDirectoryFiles,
      read: (path) => Promise.resolve({ stamp: "failed:EACCES", modifiedAtMs: undefined, content: fault("desired.unreadable", `denied ${path.length}`) }),
      look: () => Promise.resolve({ stamp: "failed:EACCES", modifiedAtMs: undefined }),
    };
    const report = await sourceOf(directory, { files: denied }).load();
    expect(report.state).toBeUndefined();
    expect(told(report)[0]).toStartWith(`desired.unreadable ${directory}/a.yaml: denied`);
  });

  test("a directory that is not there, is a file, or holds nothing to read", async () => {
    const directory = temporaryDirectory();
    const path = join(directory, "desired");
    const source = sourceOf(path);
    expect(told(await source.load())[0]).toStartWith(`desired.unreadable ${path}: expected a directory, found nothing`);
    write(directory, "desired", "");
    expect(told(await source.load())[0]).toStartWith(`desired.unreadable ${path}: expected a directory, found a file`);
    unlinkSync(path);
    mkdirSync(path);
    const empty = await source.load();
    expect(told(empty)[0]).toStartWith(`desired.empty ${path}: expected at least one *.yaml`);
    expect(empty.state).toBeUndefined();
    write(path, "a.yaml", declaring(101));
    expect(vmids(await source.load())).toEqual([101]);
  });

  describe("a directory that every user of the host can write", () => {
    const refused = "expected a directory that only its owner and group can write, found one that every user of this host can; run chmod o-w on it, or copy its files to a directory of mode 755 where it cannot be changed (a mounted ConfigMap)";

    test.each([["777", 0o777], ["757", 0o757], ["702", 0o702], ["1777, sticky", 0o1777]])("with mode %s is refused as such a file is, and read again once it is mended", async (_, mode) => {
      const directory = temporaryDirectory();
      write(directory, "a.yaml", declaring(101));
      const source = sourceOf(directory);
      await source.load();
      chmodSync(directory, mode);
      write(directory, "b.yaml", declaring(102));
      const bad = await source.load();
      expect(told(bad)).toEqual([`desired.unreadable ${directory}: ${refused}`]);
      expect(vmids(bad)).toEqual([101]);
      chmodSync(directory, 0o775);
      expect(vmids(await source.load())).toEqual([101, 102]);
    });

    test("is refused behind a symlink to it", async () => {
      const parent = temporaryDirectory();
      mkdirSync(join(parent, "one"));
      write(join(parent, "one"), "a.yaml", declaring(101));
      chmodSync(join(parent, "one"), 0o777);
      symlinkSync("one", join(parent, "current"));
      const report = await sourceOf(join(parent, "current")).load();
      expect(report.state).toBeUndefined();
      expect(told(report)).toEqual([`desired.unreadable ${join(parent, "current")}: ${refused}`]);
    });

    test("is refused where the files behind a ..data symlink stand in it", async () => {
      const directory = temporaryDirectory();
      mkdirSync(join(directory, "..one"));
      write(join(directory, "..one"), "a.yaml", declaring(101));
      symlinkSync("..one", join(directory, "..data"));
      symlinkSync("..data/a.yaml", join(directory, "a.yaml"));
      const source = sourceOf(directory);
      expect(vmids(await source.load())).toEqual([101]);
      chmodSync(join(directory, "..one"), 0o777);
      const bad = await source.load();
      const where = `expected a file in a directory that only its owner and group can write, found it in one that every user of this host can; run chmod o-w on ${join(directory, "..one")}`;
      expect(told(bad)).toEqual([`desired.unreadable ${join(directory, "a.yaml")}: ${where}`]);
      chmodSync(join(directory, "..one"), 0o755);
      expect(told(await source.load())).toEqual([]);
    });
  });

  test("a directory whose files were all removed keeps its guests managed as they were", async () => {
    const directory = temporaryDirectory();
    const path = write(directory, "a.yaml", declaring(101));
    const source = sourceOf(directory);
    await source.load();
    unlinkSync(path);
    const report = await source.load();
    expect(vmids(report)).toEqual([101]);
    expect(told(report)[0]).toStartWith("desired.empty");
  });

  test("more files than the limit", async () => {
    const files: DirectoryFiles = { ...realDirectoryFiles, list: () => Promise.resolve({ ok: true, value: Array.from({ length: FILES_MAX + 1 }, (_, index) => `${index}.yaml`) }) };
    expect(told(await sourceOf(temporaryDirectory(), { files }).load())[0]).toContain(`expected at most ${FILES_MAX} files, found ${FILES_MAX + 1}`);
  });

  test("a hundred bad files are told of in fifty lines and a count", async () => {
    const directory = temporaryDirectory();
    for (let index = 0; index < 100; index++) write(directory, `${index}.yaml`, "");
    const report = await sourceOf(directory).load();
    expect(report.problems).toHaveLength(51);
    expect(report.problems.at(-1)?.message).toBe(`${directory}: and 50 more; mend these first`);
  });
});

describe("consistency", () => {
  test("unchanged files are not parsed again", async () => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    const source = sourceOf(directory);
    const before = (await source.load()).state?.guests.get(101);
    write(directory, "b.yaml", declaring(102));
    const after = (await source.load()).state?.guests;
    expect(after?.get(101)).toBe(before);
    expect(after?.has(102)).toBe(true);
  });

  test("a file that comes back after it was gone is parsed anew", async () => {
    const directory = temporaryDirectory();
    write(directory, "b.yaml", declaring(102));
    const path = write(directory, "a.yaml", declaring(101));
    const source = sourceOf(directory);
    const before = (await source.load()).state?.guests.get(101);
    unlinkSync(path);
    expect(vmids(await source.load())).toEqual([102]);
    write(directory, "a.yaml", declaring(101));
    const after = (await source.load()).state?.guests.get(101);
    expect(after).toEqual(before);
    expect(after).not.toBe(before);
  });

  test("a set that is exchanged while it is read is never seen half", async () => {
    const directory = temporaryDirectory();
    for (const [generation, first] of [["one", 101], ["two", 201]] as const) {
      mkdirSync(join(directory, generation));
      write(join(directory, generation), "a.yaml", declaring(first));
      write(join(directory, generation), "b.yaml", declaring(first + 1));
    }
    symlinkSync("one", join(directory, "..data"));
    for (const name of ["a.yaml", "b.yaml"]) symlinkSync(join("..data", name), join(directory, name));
    let reads = 0;
    const files: DirectoryFiles = {
      ...realDirectoryFiles,
      async read(path, maxBytes) {
        const reading = await realDirectoryFiles.read(path, maxBytes);
        if (path.endsWith("a.yaml") && reads++ === 0) {
          symlinkSync("two", join(directory, "..data_tmp"));
          renameSync(join(directory, "..data_tmp"), join(directory, "..data"));
        }
        return reading;
      },
    };
    const clock = restedClock();
    const loading = sourceOf(directory, { files, clock }).load();
    await settleUntil(clock, loading);
    expect(vmids(await loading)).toEqual([201, 202]);
  });

  test("a file that was written to a moment ago is waited for", async () => {
    const directory = temporaryDirectory();
    const path = write(directory, "a.yaml", declaring(101).slice(0, -3));
    const clock = new FakeClock(statSync(path).mtimeMs + 50);
    const loading = sourceOf(directory, { clock }).load();
    await untilTrue(() => clock.pendingTimers() > 0);
    writeFileSync(path, declaring(101, 102));
    utimesSync(path, new Date(clock.now()), new Date(clock.now()));
    await settleUntil(clock, loading);
    const report = await loading;
    expect(told(report)).toEqual([]);
    expect(vmids(report)).toEqual([101, 102]);
  });

  test.each([
    ["an hour", 3_600_000],
    ["twenty years", 20 * 365 * 86_400_000],
  ])("a modification time %s in the future: the file is read once it was seen at rest", async (_, aheadMs) => {
    const directory = temporaryDirectory();
    const path = write(directory, "a.yaml", declaring(101).slice(0, -3));
    const clock = restedClock();
    const future = () => utimesSync(path, new Date(clock.now() + aheadMs), new Date(clock.now() + aheadMs));
    future();
    const loading = sourceOf(directory, { clock }).load();
    await untilTrue(() => clock.pendingTimers() > 0);
    write(directory, "a.yaml", declaring(101));
    future();
    const startMs = clock.monotonic();
    await settleUntil(clock, loading);
    expect(told(await loading)).toEqual([]);
    expect(clock.monotonic() - startMs).toBeLessThanOrEqual(3 * SETTLE_MS);
  });

  test("a directory that never rests is told of, and the last good set stays", async () => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    let isBusy = false;
    let stamp = 0;
    const files: DirectoryFiles = { ...realDirectoryFiles, look: async (path) => (isBusy ? { stamp: String(stamp++), modifiedAtMs: undefined } : realDirectoryFiles.look(path)) };
    const clock = restedClock();
    const source = sourceOf(directory, { files, clock });
    await source.load();
    isBusy = true;
    const loading = source.load();
    await settleUntil(clock, loading);
    const report = await loading;
    expect(told(report)[0]).toStartWith(`desired.unreadable ${join(directory, "a.yaml")}: expected this to rest for 200 ms, found it changing for 5 s`);
    expect(vmids(report)).toEqual([101]);
  });

  test("a load that is asked for during another one sees what was there when it was asked for", async () => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    let letGo = () => undefined as void;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    let lists = 0;
    const files: DirectoryFiles = {
      ...realDirectoryFiles,
      async list(path) {
        const names = await realDirectoryFiles.list(path);
        if (lists++ === 1) await gate;
        return names;
      },
    };
    const source = sourceOf(directory, { files });
    const first = source.load();
    await untilTrue(() => lists >= 2);
    write(directory, "b.yaml", declaring(102));
    const second = source.load();
    const third = source.load();
    letGo();
    expect(vmids(await first)).toEqual([101]);
    expect(vmids(await second)).toEqual([101, 102]);
    expect(await third).toBe(await second);
  });
});

describe("watching", () => {
  /** A source on the real clock and file system; `next` resolves at the next hint. */
  function watched(path: string, recheckIntervalMs: number, files?: DirectoryFiles) {
    const source = sourceOf(path, { clock: new SystemClock(), recheckIntervalMs, ...(files === undefined ? {} : { files }) });
    let hint = Promise.withResolvers<void>();
    source.watch(() => {
      hint.resolve();
      hint = Promise.withResolvers<void>();
    });
    /** Loads at every hint until the set is this one. */
    const until = async (wanted: number[] | string): Promise<void> => {
      for (;;) {
        const changed = hint.promise;
        const report = await source.load();
        const seen = typeof wanted === "string" ? told(report).join("\n").startsWith(wanted) : told(report).length === 0 && Bun.deepEquals(vmids(report), wanted);
        if (seen) return;
        await changed;
      }
    };
    return { source, until };
  }
  /** Long enough that only the watch can be what tells. */
  const NEVER_MS = 3_600_000;

  test("a change is told by the file system: rewritten, renamed over, added, removed", async () => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    const { until } = watched(directory, NEVER_MS);
    await until([101]);
    write(directory, "a.yaml", declaring(102));
    await until([102]);
    renameSync(write(directory, ".a.yaml.new", declaring(103)), join(directory, "a.yaml"));
    await until([103]);
    renameSync(write(directory, ".a.yaml.new", declaring(104)), join(directory, "a.yaml"));
    await until([104]);
    write(directory, "b.yaml", declaring(105));
    await until([104, 105]);
    unlinkSync(join(directory, "a.yaml"));
    await until([105]);
  });

  test("a swapped ..data symlink is told by the file system", async () => {
    const directory = temporaryDirectory();
    for (const [name, vmid] of [["one", 101], ["two", 102]] as const) {
      mkdirSync(join(directory, name));
      write(join(directory, name), "a.yaml", declaring(vmid));
    }
    symlinkSync("one", join(directory, "..data"));
    symlinkSync("..data/a.yaml", join(directory, "a.yaml"));
    const { until } = watched(directory, NEVER_MS);
    await until([101]);
    symlinkSync("two", join(directory, "..tmp"));
    renameSync(join(directory, "..tmp"), join(directory, "..data"));
    await until([102]);
  });

  test("a broken file is told and recovers by itself", async () => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    const { until } = watched(directory, NEVER_MS);
    await until([101]);
    write(directory, "a.yaml", "version: 1\nguests: [\n");
    await until("desired.syntax");
    write(directory, "a.yaml", declaring(102));
    await until([102]);
  });

  test("a directory that is deleted and made again is found by looking, and watched again", async () => {
    const directory = join(temporaryDirectory(), "desired");
    mkdirSync(directory);
    write(directory, "a.yaml", declaring(101));
    const { until } = watched(directory, 50);
    await until([101]);
    rmSync(directory, { recursive: true });
    await until("desired.unreadable");
    mkdirSync(directory);
    write(directory, "a.yaml", declaring(102));
    await until([102]);
    write(directory, "a.yaml", declaring(103));
    await until([103]);
  });

  test("a directory that is a symlink to another one now", async () => {
    const parent = temporaryDirectory();
    for (const [name, vmid] of [["one", 101], ["two", 102]] as const) {
      mkdirSync(join(parent, name));
      write(join(parent, name), "a.yaml", declaring(vmid));
    }
    symlinkSync("one", join(parent, "current"));
    const { until } = watched(join(parent, "current"), 50);
    await until([101]);
    symlinkSync("two", join(parent, "next"));
    renameSync(join(parent, "next"), join(parent, "current"));
    await until([102]);
  });

  test("where nothing can be watched, looking finds every change, and one warning says so", async () => {
    warnings.length = 0;
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    const files: DirectoryFiles = { ...realDirectoryFiles, watch: () => fault("desired.unreadable", "out of watches") };
    const { until } = watched(directory, 50, files);
    await until([101]);
    write(directory, "a.yaml", declaring(102));
    await until([102]);
    write(directory, "a.yaml", declaring(103));
    await until([103]);
    expect(warnings).toEqual(["cannot watch the desired-state directory; changes are found by looking instead"]);
  });

  test("nothing is told while nothing changes, though events come and time passes", async () => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    let event = () => undefined as void;
    let looks = 0;
    const files: DirectoryFiles = {
      ...realDirectoryFiles,
      identify: () => Promise.resolve({ ok: true, value: "same" }),
      list: (path) => (looks++, realDirectoryFiles.list(path)),
      watch: (_, onEvent) => ((event = onEvent), { ok: true, value: () => undefined }),
    };
    const clock = restedClock();
    const source = sourceOf(directory, { clock, files });
    let hints = 0;
    source.watch(() => hints++);
    await source.load();
    for (let round = 1; round <= 3; round++) {
      looks = 0;
      event();
      event();
      await clock.advance(100);
      await untilTrue(() => looks >= 2);
      await clock.advance(DEFAULT_RECHECK_INTERVAL_MS);
      await untilTrue(() => looks >= 4 && clock.pendingTimers() > 0);
    }
    expect(hints).toBe(0);
    writeFileSync(join(directory, "a.yaml"), declaring(102));
    event();
    while (hints === 0) await clock.advance(SETTLE_MS);
  });

  test("a closed source tells nothing more and leaves no timer", async () => {
    const directory = temporaryDirectory();
    write(directory, "a.yaml", declaring(101));
    const clock = restedClock();
    const source = sourceOf(directory, { clock });
    let hints = 0;
    source.watch(() => hints++);
    await source.load();
    source.close();
    write(directory, "a.yaml", declaring(102));
    await clock.advance(10 * DEFAULT_RECHECK_INTERVAL_MS);
    expect({ hints, timers: clock.pendingTimers() }).toEqual({ hints: 0, timers: 0 });
  });
});
