import { expect, test } from "bun:test";
import fc from "fast-check";
import type { DesiredGuest } from "../../src/desired/model.ts";
import { parseDesiredFiles } from "../../src/desired/parse.ts";
import { revisionOf } from "../../src/desired/revision.ts";
import type { RawConfig } from "../../src/guest/observed.ts";
import { planGuest } from "../../src/plan/plan-guest.ts";
import type { GuestPlan } from "../../src/plan/types.ts";
import { desiredOf, GENERATED_GUEST, type GeneratedGuest } from "../support/generated-guest.ts";
import { styledFiles } from "../support/generated-text.ts";
import { HOST_FACTS, observedGuest } from "../support/guests.ts";
import { LAW_TIMEOUT_MS, law } from "../support/law.ts";

/** Laws about how a desired state is written. */

const GUESTS_PER_SET = 4;
const FIRST_VMID = 100;

function foundOf({ fields }: GeneratedGuest): RawConfig {
  return Object.fromEntries(fields.flatMap(({ key, found }) => (found === undefined ? [] : [[key === "cdrom" ? "ide2" : key, found] as const])));
}

/** Plans of all guests of a set, as far as they do not tell where something was written. */
function plansOf(set: ReadonlyMap<number, DesiredGuest>, guests: readonly GeneratedGuest[]): readonly GuestPlan[] {
  return guests.flatMap((guest, index) => {
    const vmid = FIRST_VMID + index;
    const desired = set.get(vmid);
    if (desired === undefined) return [];
    const { kind, tagStyle, pveVersion } = guest;
    const observed = observedGuest({ kind, vmid, runState: guest.isRunning ? "running" : "stopped", running: foundOf(guest) });
    return [planGuest({ desired, observed, situation: {}, facts: { ...HOST_FACTS, tagStyle, pveVersion } })];
  });
}

/** What is reported of a value that cannot be written repeats it as it was written: a number may stand in quotes or not. */
function asShown(plan: GuestPlan): string {
  return JSON.stringify(plan).replace(/\\*"(-?\d+(?:\.\d+)?)\\*"/g, "$1");
}

const SETS = fc.tuple(fc.array(GENERATED_GUEST, { minLength: GUESTS_PER_SET, maxLength: GUESTS_PER_SET }), fc.integer({ min: 1, max: 0x7fff_ffff }));

test("a desired state written otherwise has the same revision and the same plan", async () => {
  let planned = 0;
  await law(["reformatting the desired state changes neither revision nor plan"], SETS, ([guests, style]) => {
    const declared: readonly DesiredGuest[] = guests.map((guest, index) => desiredOf(guest, FIRST_VMID + index));
    const written = parseDesiredFiles(styledFiles(declared, style));
    expect(written.problems).toEqual([]);
    expect(written.revision).toBe(revisionOf(declared));
    const plans = plansOf(new Map(declared.map((guest) => [guest.vmid, guest])), guests);
    expect(plans).toHaveLength(guests.length);
    const others = plansOf(written.guests, guests);
    expect(others.map(asShown)).toEqual(plans.map(asShown));
    expect(others.map(({ actions }) => actions)).toEqual(plans.map(({ actions }) => actions));
    planned += plans.filter((plan) => plan.actions.length > 0).length;
  }, { guestsPerRun: GUESTS_PER_SET, remark: () => `${planned} of the guests had something to do` });
}, LAW_TIMEOUT_MS);
