import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { runCommandLine } from "../../src/commands/cli.ts";
import type { CommandContext } from "../../src/commands/context.ts";
import { clip, renderScreen, renderStatus } from "../../src/commands/status-text.ts";
import type { Condition, TransitionEvent } from "../../src/conditions/condition.ts";
import { createControlApp } from "../../src/control/app.ts";
import type { GuestReport, StatusReport } from "../../src/control/report.ts";
import { listenOnSocket, type ControlSocket } from "../../src/control/socket.ts";
import { COLOUR_STYLE, PLAIN_STYLE } from "../../src/plan/render-style.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { SystemRandom } from "../../src/runtime/random.ts";
import { FakeAgent } from "../control/control-target.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** `agent status` of many guests, and `-w` on a terminal and in a pipe, with an agent that comes and goes. */

const AT = "2026-01-01T00:00:00.000Z";

function condition(type: Condition["type"], status: Condition["status"], reason: string, message = ""): Condition {
  return { type, status, reason, message, lastTransitionTime: AT, observedGeneration: "r1" };
}

function guest(vmid: number, result = "in_sync", message = "", name = `vm-${vmid}`): GuestReport {
  const synced = condition("Synced", result === "in_sync" ? "True" : "False", result === "in_sync" ? "InSync" : "ActFailed", message);
  return { kind: "qemu", vmid, name, runState: "running", result, message, holds: [], deferred: [], restartPending: [], drivePending: [], refused: [], conditions: [synced] };
}

function event(count: number): TransitionEvent {
  return { at: AT, guest: { kind: "qemu", vmid: 100 + count }, type: "Synced", from: "True", to: "False", reason: "Drifted", message: `event ${count}` };
}

function report(more: Partial<StatusReport> = {}): StatusReport {
  return { ...new FakeAgent().status(), conditions: [condition("JournalReady", "True", "Healthy"), condition("RevisionHeld", "False", "NotHeld")], ...more };
}

const many = (count: number, ...bad: readonly GuestReport[]): readonly GuestReport[] => [...Array.from({ length: count }, (_, index) => guest(1000 + index)), ...bad];
const SIZE = { columns: 100, rows: 30 };
const screen = (more: Partial<StatusReport>, size = SIZE): string => renderScreen(report(more), PLAIN_STYLE, size).join("\n");

describe("many guests", () => {
  const guests = many(1000, guest(101, "held", "locked"), guest(100, "failed", "no memory"), guest(102, "unknown", "lost"));

  test("on a screen: problems first, the worst on top, what is well is counted", () => {
    const shown = screen({ guests });
    expect(shown).toContain("Guests: 1000 in_sync, 1 failed, 1 held, 1 unknown");
    expect([...shown.matchAll(/qemu\/(\d+)/g)].map(([, vmid]) => vmid)).toEqual(["102", "100", "101"]);
  });

  test("in plain status: those of which there is something to say, and how many more; --all lists them", () => {
    const text = renderStatus(report({ guests }), PLAIN_STYLE, false);
    expect(text).toContain("and 1000 of which there is nothing to say (Guests: 1000 in_sync, 1 failed, 1 held, 1 unknown); --all lists them");
    expect([...text.matchAll(/qemu\/(\d+)/g)].map(([, vmid]) => vmid)).toEqual(["101", "100", "102"]);
    expect([...renderStatus(report({ guests }), PLAIN_STYLE, true).matchAll(/qemu\//g)]).toHaveLength(1003);
    expect([...renderStatus(report({ guests: many(100) }), PLAIN_STYLE, false).matchAll(/qemu\//g)]).toHaveLength(100);
  });

  test("a screen never has more lines than there are, nor longer ones, whatever is wrong", () => {
    const bad = Array.from({ length: 400 }, (_, index) => guest(2000 + index, "failed", "x".repeat(300), "n".repeat(200)));
    const events = Array.from({ length: 500 }, (_, index) => event(index));
    const conditions = [condition("JournalReady", "False", "Corrupt", "y".repeat(500))];
    for (const size of [SIZE, { columns: 40, rows: 24 }, { columns: 200, rows: 60 }]) {
      const lines = renderScreen(report({ guests: bad, events, conditions }), PLAIN_STYLE, size);
      expect(lines.length).toBeLessThanOrEqual(size.rows - 1);
      expect(Math.max(...lines.map((line) => Array.from(line).length))).toBeLessThanOrEqual(size.columns);
      expect(lines.join("\n")).toMatch(/… and \d+ more: "agent status"/);
    }
  });

  test("one very long name does not push the other rows' messages away", () => {
    const text = renderStatus(report({ guests: [guest(100, "failed", "broken", "n".repeat(63)), guest(101, "failed", "broken")] }), PLAIN_STYLE, false);
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThan(100);
  });

  test("a host that is not as it should be is told on the screen", () => {
    expect(screen({ conditions: [condition("ProxmoxReachable", "False", "Unreachable", "refused"), condition("JournalReady", "True", "Healthy")] })).toMatch(/ProxmoxReachable +False +Unreachable +refused/);
    expect(screen({})).toContain("Host: all 2 conditions are as they should be");
  });

  test("nothing in a name or message moves the cursor", () => {
    expect(screen({ guests: [guest(100, "failed", "a\u001b[2Jb", "\u001b]0;x\u0007")], events: [{ ...event(0), message: "\u001b[31m" }] })).not.toContain("\u001b");
  });

  test("a cut is shown, and cuts no character in two", () => {
    expect([clip("abcdef", 6), clip("abcdef", 4), clip("🙂🙂🙂", 2), clip("🙂🙂", 2)]).toEqual(["abcdef", "abc…", "🙂…", "🙂🙂"]);
  });
});

/** `status -w` under way, with a clock that ticks when the test says so. */
class Watching {
  readonly directory = temporaryDirectory();
  readonly agent = new FakeAgent();
  out = "";
  complaints = "";
  change = 1;
  asked = 0;
  readonly interrupted = new AbortController();
  readonly outputGone = new AbortController();
  code: Promise<number> = Promise.resolve(-1);
  #report = report();
  #socket: ControlSocket | undefined;
  #slept = Promise.withResolvers<void>();
  #tick: () => void = () => {};

  constructor() {
    this.agent.status = () => {
      this.asked += 1;
      return this.#report;
    };
    this.agent.change = () => ({ version: 1, change: String(this.change), activeGuests: 0 });
  }

  say(more: Partial<StatusReport>): void {
    this.#report = { ...this.#report, ...more };
    this.change += 1;
  }

  async agentStarts(startedAt = AT): Promise<void> {
    this.say({ agent: { ...this.#report.agent, startedAt } });
    const socket = await listenOnSocket(join(this.directory, "agent.sock"), createControlApp(this.agent));
    if (!socket.ok) throw new Error(socket.error.message);
    this.#socket = socket.value;
  }

  async agentStops(): Promise<void> {
    await this.#socket?.close();
    this.#socket = undefined;
  }

  start(words: readonly string[], isTerminal: boolean, environment: Readonly<Record<string, string>> = {}): void {
    const quiet = (): void => {};
    const real = new SystemClock();
    const sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
      if (ms !== 1_000) return real.sleep(ms, signal);
      const tick = Promise.withResolvers<void>();
      this.#tick = tick.resolve;
      signal?.addEventListener("abort", () => tick.resolve(), { once: true });
      this.#slept.resolve();
      return signal?.aborted === true ? Promise.resolve() : tick.promise;
    };
    const context: CommandContext = {
      world: {
        clock: { now: () => real.now(), monotonic: () => real.monotonic(), schedule: (ms, callback) => real.schedule(ms, callback), sleep },
        random: new SystemRandom(), log: { debug: quiet, info: quiet, warn: quiet, error: quiet }, fileSystem: createFileSystem(), userId: 0,
      },
      environment, hostname: "pve1", workingDirectory: this.directory, processId: process.pid, isTerminal, terminalSize: () => SIZE,
      print: (text) => void (this.out += text), complain: (text) => void (this.complaints += text),
      interrupted: this.interrupted.signal, outputGone: this.outputGone.signal, onHangup: quiet,
    };
    this.code = runCommandLine(["--state-dir", join(this.directory, "state"), "--socket", join(this.directory, "agent.sock"), "status", "-w", ...words], context);
  }

  /** Until it has looked once and sleeps. */
  async looked(): Promise<void> {
    await this.#slept.promise;
    this.#slept = Promise.withResolvers();
  }

  /** A second passes. */
  async second(): Promise<void> {
    this.#tick();
    await this.looked();
  }

  async end(): Promise<void> {
    this.interrupted.abort();
    await this.code;
    await this.agentStops();
  }
}

let watching: Watching | undefined;
afterEach(async () => {
  await watching?.end();
  watching = undefined;
});

async function watch(words: readonly string[], isTerminal: boolean, environment: Readonly<Record<string, string>> = {}): Promise<Watching> {
  const at = new Watching();
  watching = at;
  await at.agentStarts();
  at.start(words, isTerminal, environment);
  await at.looked();
  return at;
}

describe("status -w on a terminal", () => {
  test("draws when something changed and only then, over what was there, and ends with 0", async () => {
    const at = await watch([], true);
    const first = at.out;
    expect(first).toStartWith("\u001b[H\u001b[2J");
    expect(first).toContain("Guests: none");
    for (let second = 0; second < 5; second++) await at.second();
    expect([at.out, at.asked]).toEqual([first, 1]);
    at.say({ guests: [guest(100, "failed", "no memory")] });
    await at.second();
    const next = at.out.slice(first.length);
    expect([next.startsWith("\u001b[H"), next.includes("\u001b[2J"), next.endsWith("\u001b[J")]).toEqual([true, false, true]);
    expect(next).toContain("Guests: 1 failed");
    at.interrupted.abort();
    expect(await at.code).toBe(0);
  });

  test("while the agent is away the last status stays, under a line that says so; then it goes on", async () => {
    const at = await watch([], true);
    at.say({ guests: [guest(100, "failed", "no memory")] });
    await at.second();
    await at.agentStops();
    at.out = "";
    await at.second();
    expect(at.out).toMatch(/agent not reachable, waiting: expected a running agent[^]*Guests: 1 failed/);
    await at.agentStarts("2026-01-01T00:00:09.000Z");
    at.out = "";
    await at.second();
    expect(at.out).toContain("since 2026-01-01T00:00:09.000Z");
    expect(at.out).not.toContain("not reachable");
  });

  test("colours unless NO_COLOR or --no-color says otherwise", async () => {
    const colour = COLOUR_STYLE.guest("Guests: none");
    const coloured = await watch([], true);
    expect(coloured.out).toContain(colour);
    await coloured.end();
    const plain = await watch([], true, { NO_COLOR: "1" });
    expect(plain.out).not.toContain("\u001b[1m");
    await plain.end();
    expect((await watch(["--no-color"], true)).out).not.toContain("\u001b[1m");
  });
});

describe("status -w in a pipe", () => {
  test("one line an event, those before included, none twice, and the agent's next life counts anew", async () => {
    const at = await watch([], false);
    const all = Array.from({ length: 600 }, (_, index) => event(index));
    at.say({ events: all.slice(0, 2), eventCount: 2 });
    await at.second();
    expect(at.out).toBe(`${AT}  qemu/100 Synced False Drifted: event 0\n${AT}  qemu/101 Synced False Drifted: event 1\n`);
    at.out = "";
    at.say({ events: all.slice(0, 3), eventCount: 3 });
    await at.second();
    await at.second();
    expect(at.out).toBe(`${AT}  qemu/102 Synced False Drifted: event 2\n`);
    at.out = "";
    // More than are kept.
    at.say({ events: all.slice(100), eventCount: 600 });
    await at.second();
    expect(at.out.trimEnd().split("\n")).toHaveLength(500);
    expect(at.complaints).toContain("97 events came faster than they can be asked for and are not shown");
    at.out = "";
    await at.agentStops();
    await at.second();
    await at.second();
    expect([at.out, at.complaints.match(/agent not reachable, waiting/g)?.length]).toEqual(["", 1]);
    at.say({ events: [event(7)], eventCount: 1 });
    await at.agentStarts("2026-01-01T00:00:09.000Z");
    await at.second();
    expect(at.out).toBe(`${AT}  qemu/107 Synced False Drifted: event 7\n`);
  });

  test("-o json: the events as JSON, a line each, on a terminal too", async () => {
    const at = await watch(["-o", "json"], true);
    at.say({ events: [event(1)], eventCount: 1 });
    await at.second();
    expect(JSON.parse(at.out)).toEqual(event(1));
  });

  test("ends when nobody reads any more", async () => {
    const at = await watch([], false);
    at.outputGone.abort();
    expect(await at.code).toBe(0);
  });

  test("without an agent it waits for one; with one that cannot be asked at first it says so and ends", async () => {
    const alone = new Watching();
    alone.start([], false);
    await alone.looked();
    expect(alone.complaints).toContain("agent not reachable, waiting");
    await alone.end();
    const broken = new Watching();
    watching = broken;
    broken.agent.status = () => {
      throw new Error("a bug");
    };
    await broken.agentStarts();
    broken.start([], false);
    expect(await broken.code).toBe(1);
  });
});
