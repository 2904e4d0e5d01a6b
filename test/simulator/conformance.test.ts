import { describe, expect, test } from "bun:test";
import { replay, type Report } from "./conformance/replay.ts";
import { Stage } from "./conformance/stage.ts";

/**
 * The simulator against the recordings of a real Proxmox VE 9.2.11: every request is sent again, in
 * order, from the recorded starting state, and status, reason, body and files must be the recorded ones.
 * What is exempt: chance (process ids, new addresses and UUIDs), time, load, and the machine below.
 */

interface Expectation {
  /** How many comparisons must agree. May only grow. */
  readonly minimum: number;
  /** Lines of the recording that differ, and why they may. */
  readonly known?: Readonly<Record<number, string>>;
  /** The recording that must have been played before, on the same host. */
  readonly after?: string;
}

const FULL_CLONE = "a full clone failed on the recorded host, whose qemu-img was not Proxmox's; the simulated one has no such fault";

const RECORDINGS: Readonly<Record<string, Expectation>> = {
  "01-basic": { minimum: 38 },
  "02-auth": { minimum: 115 },
  "03-description": { minimum: 128 },
  "04-values": { minimum: 348 },
  "05-update-semantics": { minimum: 86 },
  "06-locks-concurrency": { minimum: 77 },
  "07-power": { minimum: 109 },
  "08-tasks": { minimum: 40, after: "07-power" },
  "09-create-destroy": { minimum: 79, known: { 747: FULL_CLONE, 757: FULL_CLONE, 767: FULL_CLONE } },
  "10-lxc": { minimum: 128 },
  "11-running": { minimum: 161 },
  "12-http": { minimum: 8 },
  "13-failures": { minimum: 12 },
};

function tell(name: string, report: Report): string {
  const lines = report.differences.map(({ line, what, details }) => `  line ${line}: ${what}\n    ${details.join("\n    ")}`);
  return [`${name}: ${report.matched} of ${report.total}`, ...lines].join("\n");
}

async function play(name: string, expectation: Expectation): Promise<Report> {
  const stage = new Stage();
  if (expectation.after !== undefined) await replay(expectation.after, stage);
  return replay(name, stage);
}

describe("the simulated host answers as the recorded one", () => {
  for (const [name, expectation] of Object.entries(RECORDINGS)) {
    test(name, async () => {
      const report = await play(name, expectation);
      const unexplained = report.differences.filter(({ line }) => expectation.known?.[line] === undefined);
      expect(tell(name, { ...report, differences: unexplained })).toBe(`${name}: ${report.matched} of ${report.total}`);
      expect(report.matched).toBeGreaterThanOrEqual(expectation.minimum);
    }, 60_000);
  }

  test("a host that answers otherwise is told from the recorded one", async () => {
    const stage = new Stage();
    stage.reset(101, "protection: 1\n");
    const report = await replay("05-update-semantics", stage);
    expect(report.matched).toBeLessThan(report.total);
  });
});
