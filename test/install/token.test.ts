import { describe, expect, test } from "bun:test";
import { planInstall } from "../../src/install/install.ts";
import { roleGrants } from "../../src/install/privileges.ts";
import { tokenSteps } from "../../src/install/token.ts";
import { carryOut, FakeMachine, isRoot } from "./fake-machine.ts";

const TOKEN = "/etc/steward/token";

function install(machine: FakeMachine) {
  return carryOut(planInstall(machine.request({ shouldCreateToken: true })));
}

/** As pveum lists them once everything was made. */
function makeComplete(machine: FakeMachine): void {
  machine.pveumHas("role", roleGrants().map(({ role, privileges }) => ({ roleid: role, privs: privileges.join(","), special: 0 })));
  machine.pveumHas("user", [{ userid: "root@pam" }, { userid: "steward@pve", enable: 1 }]);
  machine.pveumHas("acl", roleGrants().map(({ role, path }) => ({ path, roleid: role, type: "user", ugid: "steward@pve", propagate: 1 })));
  machine.pveumHas("token", [{ tokenid: "agent", privsep: 0 }]);
}

describe.skipIf(!isRoot)("making the token (needs root: its file is given to another user)", () => {
  test("calls pveum for roles, user, grants and token, in that order, and writes the secret for the agent alone", () => {
    const machine = new FakeMachine();
    expect(install(machine).failure).toBeUndefined();
    expect(machine.calls().filter((call) => call.startsWith("pveum"))).toEqual([
      "pveum role add Steward --privs VM.Audit VM.Config.CPU VM.Config.HWType VM.Config.Memory VM.Config.Network VM.Config.Options VM.PowerMgmt",
      "pveum role add StewardHost --privs Sys.Audit",
      "pveum role add StewardNet --privs SDN.Use",
      "pveum user add steward@pve --comment keeps guests as declared",
      "pveum acl modify /vms --users steward@pve --roles Steward",
      "pveum acl modify / --users steward@pve --roles StewardHost",
      "pveum acl modify /sdn/zones/localnetwork --users steward@pve --roles StewardNet",
      "pveum user token add steward@pve agent --privsep 0 --output-format json",
    ]);
    expect(machine.tree.readText(TOKEN)).toBe(`steward@pve!agent=${machine.secret}\n`);
    expect(machine.tree.look(TOKEN)).toMatchObject({ mode: 0o600, uid: 990, gid: 990 });
  });

  test("a second time calls nothing", () => {
    const machine = new FakeMachine();
    install(machine);
    makeComplete(machine);
    machine.calls();
    expect(install(machine)).toEqual({ changes: 0, failure: undefined });
    expect(machine.calls()).toEqual([]);
  });

  test("no step shows the secret, before or after", () => {
    const machine = new FakeMachine();
    const planned = planInstall(machine.request({ shouldCreateToken: true }));
    carryOut(planned);
    expect(JSON.stringify(planned)).not.toContain(machine.secret);
    expect(planned.ok && planned.value.next).not.toContain(machine.secret);
  });

  test("a role that lacks a privilege is completed, one that has more is left", () => {
    const machine = new FakeMachine();
    makeComplete(machine);
    machine.pveumHas("token", []);
    machine.pveumHas("role", [{ roleid: "Steward", privs: "VM.Audit,VM.PowerMgmt,VM.Config.Disk" }, { roleid: "StewardHost", privs: "Sys.Audit,Sys.Modify" }, { roleid: "StewardNet", privs: "SDN.Use" }]);
    install(machine);
    expect(machine.calls().filter((call) => call.startsWith("pveum"))).toEqual([
      "pveum role modify Steward --append 1 --privs VM.Config.CPU VM.Config.HWType VM.Config.Memory VM.Config.Network VM.Config.Options",
      "pveum user token add steward@pve agent --privsep 0 --output-format json",
    ]);
  });

  test("a file of a token that is gone is replaced", () => {
    const machine = new FakeMachine();
    machine.put(TOKEN, "steward@pve!agent=00000000-0000-0000-0000-000000000000\n", 0o600);
    install(machine);
    expect(machine.tree.readText(TOKEN)).toContain(machine.secret);
  });

  test("a file with another token is used", () => {
    const machine = new FakeMachine();
    machine.put(TOKEN, "other@pve!x=00000000-0000-0000-0000-000000000000\n", 0o600);
    install(machine);
    expect(machine.calls().filter((call) => call.includes("token add"))).toEqual([]);
    expect(machine.tree.readText(TOKEN)).toContain("other@pve!x");
  });

  for (const [name, answer] of [["no JSON", "secret-in-text"], ["another form", '{"value":"not-a-uuid-secret-in-text"}']] as const) {
    test(`an answer with ${name} is not shown, and the token is taken back`, () => {
      const machine = new FakeMachine();
      machine.program("pveum", `case "$3" in add) echo '${answer}' ;; *) echo '[]' ;; esac`);
      const { failure } = install(machine);
      expect(failure).toContain("the new token was taken back");
      expect(failure).not.toContain("secret-in-text");
      expect(machine.calls().at(-1)).toBe("pveum user token remove steward@pve agent");
      expect(machine.tree.look(TOKEN)).toBeUndefined();
    });
  }
});

describe("what cannot be done is said before anything is", () => {
  test("a token whose secret nobody has", () => {
    const machine = new FakeMachine();
    makeComplete(machine);
    const planned = tokenSteps(machine.tree, machine.programs);
    expect(planned.ok ? "" : planned.error.message).toContain("pveum user token remove steward@pve agent");
  });

  test("no pveum here: the commands are printed instead", () => {
    const machine = new FakeMachine();
    const planned = tokenSteps(machine.tree, { ...machine.programs, find: () => undefined });
    expect(planned.ok ? "" : planned.error.message).toContain("pveum acl modify /vms --users steward@pve --roles Steward");
  });

  test("a pveum that fails, or answers in another form", () => {
    const machine = new FakeMachine();
    machine.program("pveum", "echo 'ipcc_send_rec failed: Connection refused' >&2; exit 111");
    const refused = tokenSteps(machine.tree, machine.programs);
    expect(refused.ok ? "" : refused.error.message).toContain("exit code 111: ipcc_send_rec failed");
    machine.program("pveum", "echo '{}'");
    const strange = tokenSteps(machine.tree, machine.programs);
    expect(strange.ok ? "" : strange.error.message).toContain("expected a JSON list");
  });
});
