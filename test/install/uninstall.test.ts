import { describe, expect, test } from "bun:test";
import { planInstall } from "../../src/install/install.ts";
import { isChange } from "../../src/install/step.ts";
import { planUninstall, type UninstallRequest } from "../../src/install/uninstall.ts";
import { carryOut, FakeMachine, isRoot } from "./fake-machine.ts";

function removal(machine: FakeMachine, isPurge: boolean): UninstallRequest {
  return { tree: machine.tree, programs: machine.programs, isForPackaging: false, prefix: "/usr/local", isPurge };
}

describe.skipIf(!isRoot)("uninstalling (needs root: files are given to another user)", () => {
  for (const isBooted of [true, false]) {
    test(`with --purge leaves the machine as it was, ${isBooted ? "with" : "without"} systemd`, () => {
      const machine = new FakeMachine({ isBooted });
      const before = machine.snapshot();
      carryOut(planInstall(machine.request({ shouldCreateToken: true })));
      machine.put("/var/lib/steward/journal/00000001", "records");
      expect(machine.snapshot()).not.toEqual(before);
      expect(carryOut(planUninstall(removal(machine, true))).failure).toBeUndefined();
      expect(machine.snapshot()).toEqual(before);
    });
  }

  test("stops the service first, takes programs away, leaves settings, token, state and user", () => {
    const machine = new FakeMachine({ isBooted: true });
    carryOut(planInstall(machine.request({ shouldCreateToken: true })));
    machine.calls();
    expect(carryOut(planUninstall(removal(machine, false))).failure).toBeUndefined();
    expect(machine.calls()).toEqual(["systemctl disable --now steward.service", "systemctl daemon-reload"]);
    for (const path of ["/usr/local/bin/agent", "/etc/systemd/system/steward.service", "/usr/local/share/steward", "/usr/local/share/fish"]) expect([path, machine.tree.look(path)]).toEqual([path, undefined]);
    for (const path of ["/etc/steward/agent.yaml", "/etc/steward/token", "/var/lib/steward"]) expect([path, machine.tree.look(path) === undefined]).toEqual([path, false]);
    expect(machine.tree.readText("/etc/passwd")).toContain("steward");
  });

  test("installing again after it goes on with the old settings, and purging then still takes everything", () => {
    const machine = new FakeMachine();
    const before = machine.snapshot();
    carryOut(planInstall(machine.request({ shouldCreateToken: true })));
    carryOut(planUninstall(removal(machine, false)));
    machine.put("/etc/steward/agent.yaml", "mine\n", 0o640);
    expect(carryOut(planInstall(machine.request())).failure).toBeUndefined();
    expect(machine.tree.readText("/etc/steward/agent.yaml")).toBe("mine\n");
    carryOut(planUninstall(removal(machine, true)));
    expect(machine.snapshot()).toEqual(before);
  });

  test("a purge leaves declarations that people wrote, and says so", () => {
    const machine = new FakeMachine();
    carryOut(planInstall(machine.request()));
    machine.put("/etc/steward/desired/web.yaml", "version: 1\nguests: []\n");
    const planned = planUninstall(removal(machine, true));
    expect(planned.ok && planned.value.steps.filter(({ verb }) => verb === "leave").map(({ what }) => what)).toEqual(["/etc/steward/desired/web.yaml"]);
    carryOut(planned);
    expect(machine.tree.list("/etc/steward/desired")).toEqual(["web.yaml"]);
    const again = planUninstall(removal(machine, true));
    expect(again.ok && again.value.steps.filter((step) => isChange(step))).toEqual([]);
  });

  test("a user that was there before is not taken away", () => {
    const machine = new FakeMachine();
    machine.put("/etc/passwd", "root:x:0:0::/:\nsteward:x:990:990::/:\n");
    machine.put("/etc/group", "root:x:0:\nsteward:x:990:\nwww-data:x:33:steward\n");
    carryOut(planInstall(machine.request()));
    carryOut(planUninstall(removal(machine, true)));
    expect(machine.calls()).toEqual([]);
  });

  test("directories that others use by then stay", () => {
    const machine = new FakeMachine();
    carryOut(planInstall(machine.request()));
    machine.put("/usr/local/share/fish/vendor_completions.d/other.fish", "");
    carryOut(planUninstall(removal(machine, true)));
    expect(machine.tree.list("/usr/local/share")).toEqual(["fish"]);
  });

  test("a second time finds nothing to do", () => {
    const machine = new FakeMachine();
    carryOut(planInstall(machine.request()));
    carryOut(planUninstall(removal(machine, true)));
    machine.calls();
    expect(carryOut(planUninstall(removal(machine, true)))).toEqual({ changes: 0, failure: undefined });
  });
});

test("a link that enables the service is removed where systemd does not run", () => {
  const machine = new FakeMachine();
  machine.put("/etc/systemd/system/multi-user.target.wants/steward.service", "");
  carryOut(planUninstall(removal(machine, false)));
  expect(machine.tree.list("/etc/systemd/system/multi-user.target.wants")).toEqual([]);
});

test("what a package installed is left to the package manager", () => {
  const machine = new FakeMachine();
  machine.put("/var/lib/dpkg/info/steward.list", "/.\n");
  const planned = planUninstall(removal(machine, true));
  expect(planned.ok ? "" : planned.error.message).toContain("apt purge steward");
});
