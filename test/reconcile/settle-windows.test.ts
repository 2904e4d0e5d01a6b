import { describe, expect, test } from "bun:test";
import type { Operation } from "../../src/journal/types.ts";
import { SettleWindows } from "../../src/reconcile/settle-windows.ts";
import { UnrecordedActs } from "../../src/reconcile/unrecorded-acts.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { AGENT_USER, FakeProxmox } from "../support/fake-proxmox.ts";
import { faults } from "../support/proxmox-faults.ts";

const WINDOW_MS = 45_000;
const GUEST = { kind: "qemu", vmid: 101 } as const;

function operation(startedAtMs: number, id = "a"): Operation {
  const at = new Date(startedAtMs).toISOString();
  return { id, guest: { ...GUEST, identity: {} }, action: "start", params: {}, provenance: "desired", state: "started", plannedAt: at, changedAt: at, startedAt: at };
}

function windows(): { clock: FakeClock; windows: SettleWindows } {
  const clock = new FakeClock();
  return { clock, windows: new SettleWindows(clock, 30_000) };
}

describe("the settle window", () => {
  test("is request timeout, Proxmox's lock timeout and a margin long (row O40)", () => {
    expect(windows().windows.windowMs).toBe(30_000 + 10_000 + 5_000);
  });

  test.each([[0, WINDOW_MS], [20_000, 25_000], [WINDOW_MS, 0], [86_400_000, 0], [-1, WINDOW_MS], [-86_400_000, WINDOW_MS]])("of an act of an earlier process, begun %p ms ago by the wall clock: %p ms are left", (ageMs, leftMs) => {
    const { clock, windows: made } = windows();
    expect(made.remainingMs(operation(clock.now() - ageMs))).toBe(leftMs);
  });

  test("runs by the clock that cannot be set, whatever the wall clock does", async () => {
    for (const jumpMs of [-3_600_000, 3_600_000]) {
      const { clock, windows: made } = windows();
      const act = operation(clock.now());
      made.begun(act);
      clock.jumpWallClock(jumpMs);
      await clock.advance(WINDOW_MS - 1);
      expect(made.remainingMs(act)).toBe(1);
      await clock.advance(1);
      expect([made.remainingMs(act), made.remainingMs(act)]).toEqual([0, 0]);
    }
  });

  test("of an act of an earlier process runs from how the wall clock stood when this one began", async () => {
    for (const jumpMs of [-3_600_000, 3_600_000]) {
      const { clock, windows: made } = windows();
      const act = operation(clock.now() - 20_000);
      clock.jumpWallClock(jumpMs);
      await clock.advance(5_000);
      expect(made.remainingMs(act)).toBe(WINDOW_MS - 25_000);
    }
  });

  test("does not begin anew when it was asked for once and the clock goes back", async () => {
    const { clock, windows: made } = windows();
    const act = operation(clock.now() - 40_000);
    expect(made.remainingMs(act)).toBe(5_000);
    clock.jumpWallClock(-100_000);
    await clock.advance(5_000);
    expect(made.remainingMs(act)).toBe(0);
  });

  test("ten thousand acts later the last ones still have theirs", async () => {
    const { clock, windows: made } = windows();
    for (let index = 0; index < 10_000; index++) {
      made.begun(operation(clock.now(), `op${index}`));
      if (index % 100 === 0) await clock.advance(1_000);
    }
    clock.jumpWallClock(3_600_000);
    expect(made.remainingMs(operation(clock.now(), "op9999"))).toBeGreaterThan(0);
  });
});

describe("acts that no journal remembers", () => {
  const set = (): { clock: FakeClock; proxmox: FakeProxmox; acts: UnrecordedActs } => {
    const clock = new FakeClock();
    return { clock, proxmox: new FakeProxmox({ clock }), acts: new UnrecordedActs(clock, WINDOW_MS) };
  };

  test("without a task: their guest waits for the window, others do not", async () => {
    const { clock, proxmox, acts } = set();
    acts.note(GUEST, clock.monotonic(), undefined);
    expect(await acts.waitOf(102, proxmox)).toBeUndefined();
    await clock.advance(WINDOW_MS - 500);
    expect(await acts.waitOf(101, proxmox)).toContain("may still happen for 1 s");
    expect(proxmox.callCount()).toBe(0);
    await clock.advance(500);
    expect(await acts.waitOf(101, proxmox)).toBeUndefined();
  });

  test("without a task: after the window still while a power act's task runs that may be theirs (simulation, seed 302)", async () => {
    const { clock, proxmox, acts } = set();
    acts.note(GUEST, clock.monotonic(), undefined);
    const upid = proxmox.runTask({ type: "qmstart", vmid: 101, user: AGENT_USER });
    await clock.advance(WINDOW_MS);
    expect(await acts.waitOf(101, proxmox)).toContain(`task ${upid} is running`);
    proxmox.endTask(upid);
    expect(await acts.waitOf(101, proxmox)).toBeUndefined();
  });

  test("with a task: until it has ended, however long that takes, or Proxmox has forgotten it", async () => {
    for (const end of ["ends", "forgotten"]) {
      const { clock, proxmox, acts } = set();
      const upid = proxmox.runTask({ type: "qmstart", vmid: 101, user: AGENT_USER });
      acts.note(GUEST, clock.monotonic(), upid);
      await clock.advance(86_400_000);
      expect(await acts.waitOf(101, proxmox)).toContain("still running");
      proxmox.failNext("taskState", faults.unreachable());
      expect(await acts.waitOf(101, proxmox)).toContain("cannot be read");
      if (end === "ends") proxmox.endTask(upid);
      else proxmox.forgetTask(upid);
      expect(await acts.waitOf(101, proxmox)).toBeUndefined();
      const asked = proxmox.callCount();
      expect([await acts.waitOf(101, proxmox), proxmox.callCount()]).toEqual([undefined, asked]);
    }
  });
});
