import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { HostFault } from "../../../src/simulator/api.ts";
import { createFaultBoard, type FaultBoard, type FaultRequest, type FaultTarget } from "../../../src/simulator/control/faults.ts";

interface Bench {
  readonly board: FaultBoard;
  readonly host: HostFault[];
  readonly mounts: boolean[];
}

function bench(fraction: () => number = () => 0.5): Bench {
  const host: HostFault[] = [];
  const mounts: boolean[] = [];
  const board = createFaultBoard({
    random: { fraction, bytes: (size) => new Uint8Array(size) },
    addHostFault: (fault) => {
      host.push(fault);
      return () => void host.splice(host.indexOf(fault), 1);
    },
    onMountChange: (isMounted) => mounts.push(isMounted),
  });
  return { board, host, mounts };
}

const START: FaultTarget = { method: "POST", path: "/nodes/pve1/qemu/101/status/start", vmid: 101 };

describe("which requests a fault hits", () => {
  const cases: readonly (readonly [string, NonNullable<Extract<FaultRequest, { kind: "hang" }>["match"]>, boolean])[] = [
    ["no condition: all", {}, true],
    ["the method", { method: "POST" }, true],
    ["another method", { method: "GET" }, false],
    ["the guest", { vmid: 101 }, true],
    ["another guest", { vmid: 102 }, false],
    ["a prefix of the path", { path: "/nodes/pve1/qemu" }, true],
    ["a piece of the path that is no prefix", { path: "/qemu" }, false],
    ["a regular expression", { path: "status/(start|stop)$" }, true],
    ["one that does not match", { path: "^status" }, false],
    ["all of several conditions", { method: "POST", vmid: 101, path: "start$" }, true],
    ["all but one", { method: "POST", vmid: 101, path: "stop$" }, false],
  ];
  test.each(cases)("%s", (_, match, isHit) => {
    const { board } = bench();
    board.add({ kind: "hang", match });
    expect(board.draw(START).decisive !== undefined).toBe(isHit);
  });
});

describe("how often", () => {
  test("a fault with a number of times is gone after them", () => {
    const { board } = bench();
    board.add({ kind: "drop_after", times: 2 });
    expect([1, 2, 3].map(() => board.draw(START).decisive?.kind)).toEqual(["drop_after", "drop_after", undefined]);
    expect(board.list()).toEqual([]);
  });

  test("requests that do not match use nothing up", () => {
    const { board } = bench();
    board.add({ kind: "hang", times: 1, match: { vmid: 999 } });
    board.draw(START);
    expect(board.list()[0]?.hits).toBe(0);
  });

  test("a probability is drawn for each request", () => {
    const draws = [0.1, 0.9, 0.29, 0.3];
    const { board } = bench(() => draws.shift() ?? 1);
    board.add({ kind: "hang", probability: 0.3 });
    expect([1, 2, 3, 4].map(() => board.draw(START).decisive?.kind)).toEqual(["hang", undefined, "hang", undefined]);
  });

  test("delays add up and the first other fault decides", () => {
    const { board } = bench();
    board.add({ kind: "latency", ms: 10 });
    board.add({ kind: "latency", ms: 5 });
    board.add({ kind: "drop_before", times: 1 });
    board.add({ kind: "latency", ms: 1000 });
    board.add({ kind: "hang" });
    expect(board.draw(START)).toMatchObject({ latencyMs: 15, decisive: { kind: "drop_before" } });
    expect(board.draw(START)).toMatchObject({ latencyMs: 1015, decisive: { kind: "hang" } });
  });

  test("n times is n hits, however many requests match", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.constantFrom(100, 101)), (times, vmids) => {
        const { board } = bench();
        board.add({ kind: "hang", times, match: { vmid: 101 } });
        const hits = vmids.filter((vmid) => board.draw({ ...START, vmid }).decisive !== undefined).length;
        expect(hits).toBe(Math.min(times, vmids.filter((vmid) => vmid === 101).length));
      }),
    );
  });
});

describe("faults of the host", () => {
  test("are handed on and end when removed", () => {
    const { board, host } = bench();
    const hang = board.add({ kind: "task_hang", taskType: "qmstart" });
    board.add({ kind: "task_fail", exit: "no space left", vmid: 101 });
    board.add({ kind: "read_only" });
    expect(host).toEqual([
      { kind: "task_hang", taskType: "qmstart" },
      { kind: "task_fail", exit: "no space left", vmid: 101 },
      { kind: "read_only" },
    ]);
    expect(board.remove(hang)).toBe(true);
    expect(host).toHaveLength(2);
    board.remove();
    expect(host).toEqual([]);
  });

  test("a daemon is down until every fault that says so is gone", () => {
    const { board, mounts } = bench();
    const first = board.add({ kind: "pmxcfs_down" });
    const second = board.add({ kind: "pmxcfs_down" });
    expect([board.isDown("pmxcfs"), board.isDown("pvedaemon")]).toEqual([true, false]);
    board.remove(first);
    expect(board.isDown("pmxcfs")).toBe(true);
    board.remove(second);
    expect(board.isDown("pmxcfs")).toBe(false);
    expect(mounts).toEqual([false, false, false, true]);
  });
});

describe("what is not a fault is refused with the reason", () => {
  const cases: readonly (readonly [string, unknown, string])[] = [
    ["nothing", undefined, "fault"],
    ["an unknown kind", { kind: "gremlin" }, "kind"],
    ["an unknown key", { kind: "hang", tiems: 1 }, "tiems"],
    ["a latency without a time", { kind: "latency" }, "ms"],
    ["a status below 400", { kind: "error", status: 200, reason: "x" }, "status"],
    ["zero times", { kind: "hang", times: 0 }, "times"],
    ["a broken regular expression", { kind: "hang", match: { path: "(" } }, "match.path"],
    ["an unknown method", { kind: "hang", match: { method: "PATCH" } }, "match.method"],
  ];
  test.each(cases)("%s", (_, input, where) => {
    const { board } = bench();
    const result = board.parse(input);
    expect(result.ok ? "" : result.message).toContain(where);
    expect(board.list()).toEqual([]);
  });

  test("removing what is not there says so", () => expect(bench().board.remove(7)).toBe(false));
});
