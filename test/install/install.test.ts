import { describe, expect, test } from "bun:test";
import { rmSync, symlinkSync } from "node:fs";
import { planInstall } from "../../src/install/install.ts";
import { isChange } from "../../src/install/step.ts";
import { carryOut, FakeMachine, isRoot } from "./fake-machine.ts";

const CONFIG = "/etc/steward/agent.yaml";

function modes(machine: FakeMachine, path: string): string {
  const entry = machine.tree.look(path);
  return entry === undefined ? "nothing" : `${entry.mode.toString(8)} ${entry.uid}:${entry.gid}`;
}

describe.skipIf(!isRoot)("installing (needs root: files are given to another user)", () => {
  test("makes the user, puts it into the host's group, and gives everything the rights it must have", () => {
    const machine = new FakeMachine();
    expect(carryOut(planInstall(machine.request())).failure).toBeUndefined();
    expect(machine.calls()).toEqual([
      "useradd --system --user-group --home-dir /var/lib/steward --no-create-home --shell /usr/sbin/nologin --comment Steward agent steward",
      "usermod --append --groups www-data steward",
    ]);
    const expected: Readonly<Record<string, string>> = {
      "/etc/steward": "750 0:990", "/etc/steward/desired": "2750 0:990", [CONFIG]: "640 0:990", "/etc/steward/desired/guests.yaml": "640 0:990",
      "/etc/steward/token": "nothing", "/var/lib/steward": "700 990:990", "/usr/local/bin/agent": "755 0:0",
      "/etc/systemd/system/steward.service": "644 0:0", "/usr/local/share/bash-completion/completions/agent": "644 0:0",
    };
    expect(Object.fromEntries(Object.keys(expected).map((path) => [path, modes(machine, path)]))).toEqual(expected);
    expect(machine.tree.readText("/etc/systemd/system/steward.service")).toContain("ExecStart=/usr/local/bin/agent run\n");
  });

  test("a second time changes nothing and calls nothing", () => {
    const machine = new FakeMachine({ isBooted: true });
    carryOut(planInstall(machine.request()));
    machine.calls();
    const before = machine.snapshot();
    expect(carryOut(planInstall(machine.request()))).toEqual({ changes: 0, failure: undefined });
    expect(machine.calls()).toEqual([]);
    expect(machine.snapshot()).toEqual(before);
  });

  test("planning changes nothing", () => {
    const machine = new FakeMachine({ isBooted: true });
    const before = machine.snapshot();
    const planned = planInstall(machine.request({ shouldCreateToken: true }));
    expect(planned.ok && planned.value.steps.filter(isChange).length).toBeGreaterThan(15);
    expect([machine.snapshot(), machine.calls()]).toEqual([before, []]);
  });

  test("the desired file names the schema that was installed, for editors", () => {
    const machine = new FakeMachine();
    carryOut(planInstall(machine.request()));
    const [first = ""] = machine.tree.readText("/etc/steward/desired/guests.yaml")?.split("\n") ?? [];
    const schema = first.replace("# yaml-language-server: $schema=", "");
    expect([schema, machine.tree.readText(schema)]).toEqual(["/usr/local/share/steward/desired.schema.json", "{}\n"]);
  });

  test("rights that were loosened are put right again, and only those", () => {
    const machine = new FakeMachine();
    carryOut(planInstall(machine.request()));
    machine.tree.setRights("/var/lib/steward", 0o755, { uid: 0, gid: 0 });
    machine.tree.setRights(CONFIG, 0o666, undefined);
    expect(carryOut(planInstall(machine.request())).changes).toBe(2);
    expect([modes(machine, "/var/lib/steward"), modes(machine, CONFIG)]).toEqual(["700 990:990", "640 0:990"]);
  });

  const histories = [
    { name: "untouched, new default: replaced", edit: undefined, next: "new\n", config: "new\n", beside: undefined },
    { name: "edited, same default: left", edit: "mine\n", next: "old\n", config: "mine\n", beside: undefined },
    { name: "edited, new default: left, and the new one beside it", edit: "mine\n", next: "new\n", config: "mine\n", beside: "new\n" },
    { name: "edited to what became the default: left", edit: "new\n", next: "new\n", config: "new\n", beside: undefined },
    { name: "deleted, new default: stays deleted", edit: null, next: "new\n", config: undefined, beside: undefined },
  ];
  for (const { name, edit, next, config, beside } of histories) {
    test(`settings that were ${name}; once more changes nothing`, () => {
      const machine = new FakeMachine();
      const withConfig = (text: string) => machine.request({ texts: { ...machine.request().texts, config: text } });
      carryOut(planInstall(withConfig("old\n")));
      if (edit === null) rmSync(machine.tree.real(CONFIG));
      else if (edit !== undefined) machine.put(CONFIG, edit, 0o640);
      if (typeof edit === "string") machine.tree.setRights(CONFIG, 0o640, { uid: 0, gid: 990 });
      expect(carryOut(planInstall(withConfig(next))).failure).toBeUndefined();
      expect([machine.tree.readText(CONFIG), machine.tree.readText(`${CONFIG}.new`)]).toEqual([config, beside]);
      expect(carryOut(planInstall(withConfig(next))).changes).toBe(0);
    });
  }

  test("settings that were there before the first time are left, with the default beside them", () => {
    const machine = new FakeMachine();
    machine.put(CONFIG, "by: hand\n");
    carryOut(planInstall(machine.request()));
    expect([machine.tree.readText(CONFIG), machine.tree.readText(`${CONFIG}.new`)]).toEqual(["by: hand\n", "dryRun: true\n"]);
  });

  test("with systemd and a token it enables and starts; a new binary restarts; a new unit is told first", () => {
    const machine = new FakeMachine({ isBooted: true });
    carryOut(planInstall(machine.request()));
    expect(machine.calls().filter((call) => call.startsWith("systemctl"))).toEqual(["systemctl daemon-reload"]);
    machine.put("/etc/steward/token", "steward@pve!agent=x\n", 0o600);
    carryOut(planInstall(machine.request()));
    expect(machine.calls()).toEqual(["systemctl enable --now steward.service"]);
    machine.put("/next-agent", "another\n");
    const upgraded = machine.request({ binary: machine.tree.real("/next-agent"), unitText: (binary) => `[Service]\nExecStart=${binary} run\n` });
    carryOut(planInstall(upgraded));
    expect(machine.calls()).toEqual(["systemctl daemon-reload", "systemctl restart steward.service"]);
    expect(carryOut(planInstall(upgraded)).changes).toBe(0);
  });

  test("without systemd it calls none and says what to start by hand", () => {
    const planned = planInstall(new FakeMachine().request());
    expect(planned.ok && planned.value.next).toContain("runuser -u steward -- /usr/local/bin/agent run");
    expect(planned.ok && planned.value.next).toContain("pveum user token add steward@pve agent");
  });

  test("where there is no www-data the user is made all the same", () => {
    const machine = new FakeMachine({ hasHostGroup: false });
    expect(carryOut(planInstall(machine.request())).failure).toBeUndefined();
    expect(machine.calls().map((call) => call.split(" ")[0])).toEqual(["useradd"]);
  });

  test("a program that fails stops the rest and is quoted", () => {
    const machine = new FakeMachine();
    machine.program("useradd", "echo 'cannot lock /etc/passwd' >&2; exit 10");
    const { failure } = carryOut(planInstall(machine.request()));
    expect(failure).toContain("failed with exit code 10: cannot lock /etc/passwd");
    expect(machine.tree.look("/etc/steward")).toBeUndefined();
  });

  test("a link where the binary goes is replaced, not followed", () => {
    const machine = new FakeMachine();
    machine.put("/victim", "precious");
    symlinkSync(machine.tree.real("/victim"), machine.tree.real("/usr/local/bin/agent"));
    carryOut(planInstall(machine.request()));
    expect([machine.tree.readText("/victim"), machine.tree.look("/usr/local/bin/agent")?.kind]).toEqual(["precious", "file"]);
  });
});

describe("what stands in the way is said", () => {
  const cases: readonly (readonly [string, (machine: FakeMachine) => void, string])[] = [
    ["somebody's account of that name", (machine) => machine.put("/etc/passwd", "root:x:0:0::/:\nsteward:x:1000:1000::/home/steward:/bin/bash\n"), "found uid 1000"],
    ["root under that name", (machine) => machine.put("/etc/passwd", "steward:x:0:0::/:\n"), "found uid 0"],
    ["the Debian package", (machine) => machine.put("/var/lib/dpkg/info/steward.list", "/.\n"), "upgrade that with apt"],
  ];
  for (const [name, prepare, expected] of cases) {
    test(name, () => {
      const machine = new FakeMachine();
      prepare(machine);
      const planned = planInstall(machine.request());
      expect(planned.ok ? "" : planned.error.message).toContain(expected);
    });
  }

  test.skipIf(!isRoot)("a file where a directory belongs (needs root)", () => {
    const machine = new FakeMachine();
    machine.put("/etc/steward", "a file");
    expect(carryOut(planInstall(machine.request())).failure).toContain("cannot create /etc/steward: expected a directory or nothing there");
  });
});

describe("into a tree for packaging", () => {
  test("only files: no user, no owners, no service, no record; twice changes nothing", () => {
    const machine = new FakeMachine({ isBooted: true });
    const request = machine.request({ isForPackaging: true, prefix: "/usr" });
    expect(carryOut(planInstall(request)).failure).toBeUndefined();
    expect(machine.calls()).toEqual([]);
    expect(machine.tree.readText("/usr/lib/systemd/system/steward.service")).toContain("ExecStart=/usr/bin/agent run\n");
    expect(machine.tree.look("/etc/steward/.installed")).toBeUndefined();
    expect([machine.tree.look("/etc/steward")?.mode, machine.tree.look("/var/lib/steward")?.mode]).toEqual([0o750, 0o700]);
    expect(carryOut(planInstall(request)).changes).toBe(0);
  });

  test("an empty tree will do", () => {
    const machine = new FakeMachine();
    const { tree } = new FakeMachine();
    rmSync(tree.real("/etc"), { recursive: true });
    rmSync(tree.real("/usr"), { recursive: true });
    expect(carryOut(planInstall(machine.request({ tree, isForPackaging: true }))).failure).toBeUndefined();
    expect(tree.look("/usr/local/bin/agent")?.mode).toBe(0o755);
  });
});
