import { describe, expect, test } from "bun:test";
import type { DriveState } from "../../src/guest/observed.ts";
import { PlanCache } from "../../src/plan/plan-cache.ts";
import { hostPlanOf } from "../../src/plan/plan-host.ts";
import { planGuest } from "../../src/plan/plan-guest.ts";
import { renderPlan } from "../../src/plan/render.ts";
import { renderPlanJson } from "../../src/plan/render-json.ts";
import { PLAIN_STYLE as PLAIN } from "../../src/plan/render-style.ts";
import type { DesiredGuest } from "../../src/desired/model.ts";
import { desiredGuest, HOST_FACTS, observedGuest } from "../support/guests.ts";

const RUNNING = {
  name: "web", ciuser: "admin", ciupgrade: 0, ipconfig0: "gw=192.0.2.1,ip=192.0.2.5/24", ide2: "local-lvm:vm-101-cloudinit,media=cdrom,size=4M", cipassword: "**********",
};

function inputOf(config: DesiredGuest["config"], drive: DriveState | undefined) {
  const observed = { ...observedGuest({ runState: "running", running: RUNNING }), ...(drive === undefined ? {} : { drive }) };
  return { desired: desiredGuest({ config }), observed, situation: {}, facts: HOST_FACTS };
}

function known(...changes: readonly { key: string; onDrive: string | undefined; isTold?: boolean }[]): DriveState {
  return { isKnown: true, changes: changes.map((change) => ({ isTold: true, ...change })) };
}

describe("values that the cloud-init drive does not hold yet (row 75)", () => {
  const DECLARED = { name: "web", ciuser: "admin", ciupgrade: false, ipconfig0: { ip: "192.0.2.5/24" }, sshkeys: null };

  test("are told for declared keys, in key order, with what is configured; nothing is sent for them", () => {
    const plan = planGuest(inputOf(DECLARED, known({ key: "sshkeys", onDrive: undefined, isTold: false }, { key: "ciuser", onDrive: "ubuntu" }, { key: "nameserver", onDrive: "1.1.1.1" })));
    expect(plan.drivePending).toEqual([
      { key: "ciuser", onDrive: "ubuntu", isTold: true, configured: "admin" },
      { key: "sshkeys", onDrive: undefined, isTold: false, configured: undefined },
    ]);
    expect([plan.actions, plan.restartPending, plan.driveUnknown]).toEqual([[], [], ""]);
  });

  test("a value of 0, which Proxmox calls deleted, is shown with what is configured", () => {
    expect(planGuest(inputOf(DECLARED, known({ key: "ciupgrade", onDrive: undefined, isTold: false }))).drivePending).toEqual([
      { key: "ciupgrade", onDrive: undefined, isTold: false, configured: "0" },
    ]);
  });

  test("written differently, meaning the same: nothing waits", () => {
    expect(planGuest(inputOf(DECLARED, known({ key: "ipconfig0", onDrive: "ip=192.0.2.5/24,gw=192.0.2.1" }))).drivePending).toEqual([]);
  });

  test("a guest that is declared absent waits for nothing", () => {
    const input = inputOf(DECLARED, known({ key: "ciuser", onDrive: "ubuntu" }));
    expect(planGuest({ ...input, desired: { ...input.desired, state: "absent" } }).drivePending).toEqual([]);
  });

  test("are in the plan's text and JSON with how they end; passwords are masked", () => {
    const drive = known({ key: "ciuser", onDrive: "ubuntu" }, { key: "sshkeys", onDrive: undefined, isTold: false }, { key: "ipconfig0", onDrive: undefined });
    const plan = hostPlanOf([planGuest(inputOf(DECLARED, drive))]);
    const text = renderPlan(plan, PLAIN);
    expect(text).toContain("ciuser     ubuntu → admin  (waits for a regenerated cloud-init drive: the next start, or qm cloudinit update 101)");
    expect(text).toContain("sshkeys    (another value) → (absent)");
    expect(text).toContain("ipconfig0  (absent) → gw=192.0.2.1,ip=192.0.2.5/24");
    expect(text).toContain("1 waiting for a cloud-init drive");
    expect(JSON.parse(renderPlanJson(plan)).guests[0].drivePending).toEqual([
      { key: "ciuser", onDrive: "ubuntu", isOnDriveTold: true, configured: "admin" },
      { key: "ipconfig0", onDrive: null, isOnDriveTold: true, configured: "gw=192.0.2.1,ip=192.0.2.5/24" },
      { key: "sshkeys", onDrive: null, isOnDriveTold: false, configured: null },
    ]);
    const secret = hostPlanOf([{ ...planGuest(inputOf({}, undefined)), drivePending: [{ key: "cipassword", onDrive: "hunter1", isTold: true, configured: "hunter2" }] }]);
    expect(renderPlan(secret, PLAIN) + renderPlanJson(secret)).not.toContain("hunter");
  });

  test("what cannot be read is said to be unknown, and is no difference", () => {
    const plan = planGuest(inputOf(DECLARED, { isKnown: false, message: "403 Permission check failed" }));
    expect([plan.drivePending, plan.driveUnknown, plan.actions]).toEqual([[], "403 Permission check failed", []]);
    expect(renderPlan(hostPlanOf([plan]), PLAIN)).toContain("what the drive holds is not known: 403 Permission check failed");
  });

  test("a plan that is remembered is made anew when the drive, or whether it can be read, changed", () => {
    const cache = new PlanCache();
    const input = inputOf(DECLARED, known({ key: "ciuser", onDrive: "ubuntu" }));
    const first = cache.plan(input);
    expect(cache.plan({ ...input, observed: { ...input.observed } })).toBe(first);
    const unknown = cache.plan({ ...input, observed: { ...input.observed, drive: { isKnown: false, message: "x" } } });
    expect(unknown.driveUnknown).toBe("x");
    expect(cache.plan({ ...input, observed: { ...input.observed, drive: known() } }).drivePending).toEqual([]);
  });

  test("a change that will wait for the drive says so before it is sent", () => {
    const plan = hostPlanOf([planGuest(inputOf({ ciuser: "root", ipconfig0: { ip: "dhcp", gw: null } }, known()))]);
    expect(renderPlan(plan, PLAIN)).toContain("admin → root  (waits for a regenerated cloud-init drive)");
    expect(plan.guests[0]?.actions.flatMap((action) => (action.type === "set_config" ? action.changes.map(({ applies }) => applies) : []))).toEqual(["next cloud-init drive", "next cloud-init drive"]);
  });
});
