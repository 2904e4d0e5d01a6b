import { expect, test } from "bun:test";
import type { GuestPlan } from "../../src/plan/types.ts";
import type { ApiAnswer } from "../../src/simulator/api.ts";
import { GENERATED_GUEST, type GeneratedGuest } from "../support/generated-guest.ts";
import { LAW_TIMEOUT_MS, law } from "../support/law.ts";
import { changesOf, LawHost, type PlacedGuest } from "../support/law-host.ts";

/**
 * Laws about what comes of a plan: each generated guest is put on a simulated host, read, planned, written
 * as the agent writes it, and read again. The host is a model of Proxmox of its own, held against recorded
 * exchanges (simulator/conformance); it knows no normal form.
 */

/** More values than any generated guest declares: past it a write is repeated for ever. */
const FIELDS_SENT_MAX = 40;

interface Applied {
  /** What is planned after the last write. */
  readonly plan: GuestPlan;
  /** Keys in the order they were sent. */
  readonly sent: readonly string[];
  /** Empty: none. */
  readonly refusal: string;
}

/** Writes and reads again, one write at a time, until nothing is planned or the host refuses. */
async function apply(placed: PlacedGuest): Promise<Applied> {
  const sent: string[] = [];
  for (;;) {
    const observed = await placed.read();
    const { plan, approved: [action] } = placed.judge(observed);
    if (action === undefined) return { plan, sent, refusal: "" };
    if (action.type !== "set_config") throw new Error(`expected a write, found ${action.type}`);
    sent.push(...action.changes.map(({ key }) => key));
    if (sent.length > FIELDS_SENT_MAX) throw new Error(`never done: ${sent.join(" ")}`);
    const answer = await placed.send(action, observed);
    if (!("data" in answer)) return { plan, sent, refusal: textOf(answer) };
  }
}

function textOf(answer: ApiAnswer): string {
  if ("data" in answer) return "";
  return `${answer.status} ${answer.errors === undefined ? answer.reason : JSON.stringify(answer.errors)}`;
}

/** Row 55: `smp` becomes sockets and drops cores with the next write of anybody, whatever that is about. */
function rewrittenByHost(guest: GeneratedGuest): readonly string[] {
  return guest.fields.some(({ key, found }) => key === "smp" && found !== undefined) ? ["cores", "sockets", "vcpus"] : [];
}

const host = new LawHost();

const LAWS = ["a host takes every write that is planned", "what was declared, written and read back leaves nothing to do", "nor does it after a restart"];

test("rows O3, O4, O5, O18 and 1: what is planned is taken, and leaves nothing to do, before and after a restart", async () => {
  let [writes, values] = [0, 0];
  await law(LAWS, GENERATED_GUEST, async (guest) => {
    const placed = await host.place(guest);
    const { plan, sent, refusal } = await apply(placed);
    writes += placed.writes;
    values += sent.length;
    expect(refusal).toBe("");
    // Once is enough for each key, and what was written is not then called impossible.
    const rewritten = rewrittenByHost(guest);
    expect(sent.filter((key, index) => sent.indexOf(key) !== index && !rewritten.includes(key))).toEqual([]);
    expect(changesOf(plan)).toEqual([]);
    expect(plan.deferred.map(({ key }) => key).filter((key) => sent.includes(key))).toEqual([]);
    await restart(placed, [...plan.deferred.map(({ key }) => key), ...rewritten]);
  }, { remark: () => `${values} values in ${writes} writes, none refused` });
}, LAW_TIMEOUT_MS);

/** After a restart nothing is pending, and at most what could not be done before is done. */
async function restart(placed: PlacedGuest, waited: readonly string[]): Promise<void> {
  if (!(await placed.stop())) return;
  const { plan, sent, refusal } = await apply(placed);
  expect(refusal).toBe("");
  expect(sent.filter((key) => !waited.includes(key))).toEqual([]);
  expect([changesOf(plan), plan.restartPending]).toEqual([[], []]);
}
