import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeLine } from "../../src/runtime/log-write.ts";
import { Logger, type LoggerOptions } from "../../src/runtime/logger.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const TOKEN_UUID = "12345678-9abc-def0-1234-56789abcdef0";
const TOKEN = `root@pam!steward=${TOKEN_UUID}`;

function setup(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const log = new Logger({ clock: new FakeClock(), level: "debug", format: "json", isTerminal: false, hasColours: false, write: (line) => lines.push(line), ...options });
  /** The only line, without its priority, parsed. */
  const entry = () => {
    expect(lines.length).toBe(1);
    return JSON.parse((lines[0] ?? "").replace(/^<\d>/, ""));
  };
  return { log, lines, entry };
}

describe("JSON lines", () => {
  const priorities = [["debug", 7], ["info", 6], ["warn", 4], ["error", 3]] as const;
  for (const [level, priority] of priorities) {
    test(`${level} starts with <${priority}>, as systemd reads it`, () => {
      const { log, lines } = setup();
      log[level]("hello", { vmid: 101 });
      expect(lines).toEqual([`<${priority}>{"time":"2026-01-01T00:00:00.000Z","level":"${level}","message":"hello","vmid":101}`]);
    });
  }

  test("a field cannot stand in for the line's own time, level or message", () => {
    const { log, entry } = setup();
    log.info("real", { message: "forged", level: "error", time: "never", __proto__: null });
    expect(entry()).toEqual({ time: "2026-01-01T00:00:00.000Z", level: "info", message: "real", message_: "forged", level_: "error", time_: "never" });
  });

  test("faults, errors and their causes are shown whole", () => {
    const { log, entry } = setup();
    const cause = Object.assign(new Error("ECONNREFUSED 127.0.0.1:8006"), { code: "ECONNREFUSED" });
    log.error("failed", { fault: { code: "proxmox.unreachable", message: "no", cause }, error: new TypeError("outer", { cause: "inner" }) });
    expect(entry()).toMatchObject({
      fault: { code: "proxmox.unreachable", cause: { name: "Error", message: "ECONNREFUSED 127.0.0.1:8006", code: "ECONNREFUSED" } },
      error: { name: "TypeError", message: "outer", cause: "inner" },
    });
  });

  test("values that JSON cannot hold are still logged", () => {
    const { log, entry } = setup();
    const cycle: Record<string, unknown> = { name: "cycle" };
    cycle["self"] = cycle;
    const throwing = { get secret() { throw new Error("no"); }, kept: 1 };
    const fields = { cycle, throwing, big: 2n ** 70n, nan: NaN, when: new Date(0), bad: new Date(NaN), map: new Map([[1, "one"]]), set: new Set([1]), bytes: new Uint8Array(9), fn: () => 1, none: undefined, nil: null };
    log.info("odd", fields);
    expect(entry()).toMatchObject({
      cycle: { name: "cycle", self: "[circular]" }, throwing: { secret: "[unreadable]", kept: 1 }, big: "1180591620717411303424", nan: "NaN",
      when: "1970-01-01T00:00:00.000Z", bad: "[invalid date]", map: { "1": "one" }, set: [1], bytes: "[9 bytes]", fn: "[function]", nil: null,
    });
  });

  test("depth, entries, texts and lines are bounded, and the line stays JSON", () => {
    const { log, lines } = setup();
    let deep: unknown = "bottom";
    for (let level = 0; level < 50; level++) deep = { deep };
    log.info("deep", { deep });
    log.info("long", { text: "x".repeat(20_000), list: Array.from({ length: 500 }, (_, index) => index) });
    log.info("huge", Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`f${index}`, "y".repeat(7_000)])));
    log.info("z".repeat(100_000));
    expect(lines[0]).toContain("[too deep]");
    const long = JSON.parse((lines[1] ?? "").slice(3));
    expect([long.text.length < 8_100, long.list.length, long.list[100]]).toEqual([true, 101, "… 400 more"]);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(40_003);
    expect(JSON.parse((lines[2] ?? "").slice(3))).toMatchObject({ message: "huge", isCut: true });
    expect(JSON.parse((lines[3] ?? "").slice(3))).toMatchObject({ isCut: true });
  });

  test("whatever is logged, it is one line of JSON without control characters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.dictionary(fc.string({ unit: "binary" }), fc.anything({ withDate: true, withMap: true, withSet: true, withBigInt: true })), (message, fields) => {
        const { log, lines } = setup();
        log.info(message, fields);
        expect(lines.length).toBe(1);
        expect(lines[0]).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]/);
        JSON.parse((lines[0] ?? "").slice(3));
      }),
    );
  });
});

describe("text lines", () => {
  test("are for a person: time, level, message, fields", () => {
    const { log, lines } = setup({ format: "text" });
    log.warn("drifted", { guest: "qemu/101", keys: ["cores"], note: "two words", none: undefined });
    expect(lines).toEqual([`2026-01-01T00:00:00.000Z WARN  drifted guest=qemu/101 keys=["cores"] note="two words"`]);
  });

  test("have colours only when the caller wants them", () => {
    const { log, lines } = setup({ format: "text", hasColours: true });
    log.error("no");
    expect(lines[0]).toContain("\u001b[31mERROR\u001b[0m");
  });

  test("a message cannot colour the terminal, go back, or start a line of its own", () => {
    const { log, lines } = setup({ format: "text" });
    log.info("a\u001b[2Jb\rc\nERROR forged\u009b31m\u202e", { name: "x\ny" });
    expect(lines.length).toBe(1);
    expect(lines[0]).toContain("a\\u001b[2Jb\\u000dc\\u000aERROR forged\\u009b31m\\u202e");
    expect(lines[0]).toContain(`name="x\\ny"`);
  });

  for (const [isTerminal, format, isText] of [[true, "auto", true], [false, "auto", false], [true, "json", false], [false, "text", true]] as const) {
    test(`${format} ${isTerminal ? "on a terminal" : "elsewhere"} writes ${isText ? "text" : "JSON"}`, () => {
      const { log, lines } = setup({ isTerminal, format });
      log.info("x");
      expect(lines[0]?.startsWith("<6>{")).toBe(!isText);
    });
  }
});

describe("levels", () => {
  test("what is below the level is not written; level and format change while running", () => {
    const { log, lines } = setup({ level: "warn" });
    log.debug("no");
    log.info("no");
    log.warn("yes");
    log.configure({ level: "debug", format: "text" });
    log.debug("now");
    expect(lines.length).toBe(2);
    expect(lines[1]).toContain("DEBUG now");
  });
});

describe("secrets", () => {
  const places: readonly { readonly title: string; readonly log: (log: Logger) => void }[] = [
    { title: "the message", log: (log) => log.info(`sent PVEAPIToken=${TOKEN}`) },
    { title: "a field", log: (log) => log.info("x", { header: TOKEN }) },
    { title: "a field's name", log: (log) => log.info("x", { [TOKEN]: 1 }) },
    { title: "a nested value", log: (log) => log.info("x", { a: { b: [TOKEN.toUpperCase()] } }) },
    { title: "an error", log: (log) => log.info("x", { error: new Error(TOKEN, { cause: TOKEN }) }) },
    { title: "a text that is cut in the middle of it", log: (log) => log.info("x", { text: `${"y".repeat(7_970)}${TOKEN}` }) },
    { title: "a message that is cut in the middle of it", log: (log) => log.info(`${"y".repeat(4_970)}${TOKEN}${"z".repeat(100_000)}`) },
    { title: "the form with a colon", log: (log) => log.info(TOKEN.replace("=", ":")) },
  ];
  for (const format of ["json", "text"] as const) {
    for (const { title, log: write } of places) {
      test(`a token in ${title} is blotted out (${format})`, () => {
        const { log, lines } = setup({ format });
        write(log);
        expect(lines.length).toBe(1);
        expect(lines[0]?.toLowerCase()).not.toContain(TOKEN_UUID.slice(0, 8));
      });
    }
  }

  test("the token's name stays readable, and a uuid that is no token stays whole", () => {
    const { log, lines } = setup();
    log.info(`${TOKEN} and smbios1=uuid=${TOKEN_UUID}`);
    expect(lines[0]).toContain(`root@pam!steward=[redacted] and smbios1=uuid=${TOKEN_UUID}`);
  });
});

describe("writing", () => {
  test("a line is in the file before the call returns", () => {
    const path = join(temporaryDirectory(), "log");
    const descriptor = openSync(path, "a");
    writeLine("one", descriptor);
    writeLine("zwei ü", descriptor);
    expect(readFileSync(path, "utf8")).toBe("one\nzwei ü\n");
    closeSync(descriptor);
  });

  test("a log that cannot be written is given up quietly", () => {
    const full = openSync("/dev/full", "a");
    expect(() => writeLine("lost", full)).not.toThrow();
    closeSync(full);
    expect(() => writeLine("lost", 987_654)).not.toThrow();
  });

  test("all lines of a process that ends at once arrive through a pipe", async () => {
    const program = `import { writeLine } from ${JSON.stringify(join(import.meta.dir, "../../src/runtime/log-write.ts"))};
      for (let n = 0; n < 20000; n++) writeLine("line " + n);
      process.exit(0);`;
    const child = Bun.spawn([process.execPath, "-e", program], { stderr: "pipe", stdout: "ignore" });
    const text = await new Response(child.stderr).text();
    expect(text.split("\n").length - 1).toBe(20_000);
  });
});
