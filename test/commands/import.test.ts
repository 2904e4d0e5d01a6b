import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { filesOf, generateGuests } from "../import/generated-guests.ts";
import { commandHost, type CommandHost, type CommandHostOptions } from "../support/command-host.ts";

/** `agent import` against a simulated host: what it writes, plans to nothing; what it must not write, it does not. */

const WEB = "#Front web\ncores: 2\nmemory: 1024\nname: web\nnet0: virtio=BC:24:11:00:01:00,bridge=vmbr0,tag=20\nonboot: 1\nscsi0: local:100/vm-100-disk-0.qcow2,size=16M\nsmbios1: uuid=aaaaaaaa-0000-4000-8000-000000000100\nstartup: order=2,up=30\ntags: prod;web\n";
const FILES = "arch: amd64\nenv: TOKEN=SECRET-TOKEN\nhostname: files\nmemory: 512\nostype: debian\nrootfs: local:103/vm-103-disk-0.raw,size=4G\nswap: 256\n";
const TWO = { "nodes/pve1/qemu-server/100.conf": WEB, "nodes/pve1/lxc/103.conf": FILES };

let host: CommandHost;
afterEach(() => host.stop());

async function hostOf(options: Partial<CommandHostOptions> = {}): Promise<CommandHost> {
  host = await commandHost({ files: TWO, ...options });
  return host;
}

const written = (name: string): string => readFileSync(join(host.desired, name), "utf8");
const configWrites = (): readonly { readonly path: string; readonly parameters: Readonly<Record<string, unknown>> }[] => host.simulator.requestLog.mutations();

interface Declared {
  readonly guests: [{ readonly vmid: number; readonly kind: string; readonly config: Record<string, unknown> }];
}

/** `agent: true` and `agent: { enabled: true }`. */
function isOn(agent: unknown): boolean {
  return agent === true || (typeof agent === "object" && agent !== null && "enabled" in agent && agent.enabled === true);
}

/** One more of whatever is declared, on the key that says most; undefined: this guest has nothing to touch. */
function touch(config: Record<string, unknown>, vmid: number): string | undefined {
  const candidates: readonly (readonly [string, (value: unknown) => unknown])[] = [
    ["description", (value) => `touched ${String(value)}`], ["startup", () => ({ order: 77 })], ["cores", (value) => Number(value) + 1], ["tags", (value) => [...(value as unknown[]), "touched"]],
    ["onboot", (value) => value !== true], ["net0", () => ({ tag: 99 })], ["name", () => "touched"], ["hostname", () => "touched"], ["cpulimit", () => 3], ["agent", (value) => ({ enabled: !isOn(value) })],
  ];
  const there = candidates.filter(([key]) => key in config);
  const [key, next] = there[vmid % Math.max(1, there.length)] ?? [];
  if (key === undefined || next === undefined) return undefined;
  config[key] = next(config[key]);
  return key;
}

describe("200 generated guests of both kinds", () => {
  const hosts = [
    ["with Proxmox's tag style", 20_261, "keyboard: en-us\n"],
    ["with ordered, case-sensitive tags", 7, "keyboard: en-us\ntag-style: case-sensitive=1,ordering=config\n"],
  ] as const;
  for (const [name, seed, datacenter] of hosts) {
    test(`${name}: import, plan: nothing to do; one field touched, run: that field is sent (seed ${seed})`, async () => {
      const guests = generateGuests(200, seed);
      await hostOf({ files: { ...filesOf(guests), "datacenter.cfg": datacenter } });
      // Not all of them can be started: templates, locked ones, those with hardware that is not there.
      for (const { vmid } of guests) if (vmid % 3 === 0) await host.simulator.node.edit({ vmid, power: "start" });
      const running = host.simulator.node.runningGuests();
      expect(new Set(running.map(({ kind }) => kind))).toEqual(new Set(["qemu", "lxc"]));
      const imported = await host.run("import", "--out", "desired", "-o", "json");
      expect([imported.code, imported.complaints]).toEqual([0, ""]);
      const files = readdirSync(host.desired);
      expect(files).toHaveLength(200);
      for (const file of files) expect(written(file)).not.toContain("SECRET");
      const planned = await host.run("plan", "-o", "json");
      const { summary } = JSON.parse(planned.out);
      expect([planned.code, planned.complaints, summary.inSync]).toEqual([0, "", 200]);
      const once = await host.run("run", "--once");
      expect([once.code, once.out, configWrites().length]).toEqual([0, "Nothing was sent.\n", 0]);

      const expected: string[] = [];
      for (const file of files) {
        const text = written(file);
        const declared = parse(text) as Declared;
        const [{ vmid, kind, config }] = declared.guests;
        // Proxmox refuses every write to a locked guest, so it is held.
        if (/^lock: backup$/m.test(guests[vmid - 100]?.text ?? "")) continue;
        const key = touch(config, vmid);
        if (key !== undefined) expected.push(`/nodes/pve1/${kind}/${vmid}/config ${key}`);
        writeFileSync(join(host.desired, file), JSON.stringify(declared));
      }
      expect(expected.length).toBeGreaterThan(120);
      await host.run("run", "--once");
      const sent = configWrites().map(({ path, parameters }) => `${path.replace("/api2/json", "")} ${Object.keys(parameters).filter((key) => key !== "digest").join(",")}`);
      expect(sent.toSorted()).toEqual(expected.toSorted());
    }, 60_000);
  }

  test("the guests are as odd as they should be: every catalogued key of the lists occurs, and both kinds", () => {
    const all = generateGuests(200, 20_261);
    const keys = new Set(all.flatMap(({ kind, text }) => text.split("\n").map((line) => `${kind} ${line.split(":")[0]}`)));
    for (const key of ["qemu agent", "qemu net7", "qemu cipassword", "qemu [PENDING]", "qemu lock", "qemu template", "lxc net3", "lxc env", "lxc [pve", "qemu startup", "lxc tags"]) expect(keys).toContain(key);
    expect(all.filter(({ kind }) => kind === "lxc").length).toBeGreaterThan(40);
  });
});

describe("what is written", () => {
  test("one file a guest, named by number and name, for its owner and their group", async () => {
    await hostOf({ running: [100] });
    const ran = await host.run("import", "--out", "desired");
    expect(ran.code).toBe(0);
    expect(readdirSync(host.desired).sort()).toEqual(["100-web.yaml", "103-files.yaml"]);
    expect(statSync(join(host.desired, "100-web.yaml")).mode & 0o777).toBe(0o640);
    expect(ran.out).toContain("100-web.yaml    8 keys; left out: scsi0, smbios1");
    expect(ran.out).toEndWith(`2 files written to ${host.desired}.\n`);
    expect(written("100-web.yaml")).toBe(`# As found on node pve1 by "agent import". What is not written here is not managed.
version: 1
guests:
  # qemu/100 web
  - vmid: 100
    kind: qemu
    state: running
    config:
      name: web
      description: Front web
      tags: [prod, web]
      cores: 2
      memory: 1024
      net0: { model: virtio, macaddr: BC:24:11:00:01:00, bridge: vmbr0, tag: 20 }
      onboot: true
      startup: { order: 2, up: 30 }
      # Identity of this very guest: smbios1
      # Volumes, which this version compares and never changes; as found:
      #   scsi0: "local:100/vm-100-disk-0.qcow2,size=16M"
`);
    expect(written("103-files.yaml")).not.toContain("SECRET");
    expect(written("103-files.yaml")).toContain("# May hold secrets, so the values stay in Proxmox: env\n");
  });

  test("without --out: one document on standard output, which can be declared as it is", async () => {
    await hostOf();
    const ran = await host.run("import", "103", "100", "100");
    expect((parse(ran.out) as Declared).guests.map(({ vmid }) => vmid)).toEqual([100, 103]);
    writeFileSync(join(host.desired, "all.yaml"), ran.out);
    expect((await host.run("plan")).code).toBe(0);
  });

  test("--observe and --no-state", async () => {
    await hostOf();
    const { out } = await host.run("import", "100", "--observe", "--no-state");
    expect(out).toContain("    mode: observe\n");
    expect(out).not.toContain("state:");
  });

  test("-o json names every key and why it was left out, and no secret", async () => {
    await hostOf();
    const ran = await host.run("import", "103", "-o", "json");
    const report = JSON.parse(ran.out);
    expect(ran.out).not.toContain("SECRET");
    expect(report).toMatchObject({ version: 1, node: "pve1", directory: null, skipped: [] });
    expect(report.guests).toEqual([{
      kind: "lxc", vmid: 103, name: "files", file: null, mode: "enforce", state: "stopped", keys: ["hostname", "memory", "ostype", "swap"], notes: [],
      leftOut: [
        { key: "arch", reason: "not_on_allow_list", found: "amd64" }, { key: "env", reason: "may_hold_secrets" },
        { key: "rootfs", reason: "holds_data", found: "local:103/vm-103-disk-0.raw,size=4G" },
      ],
    }]);
    expect(report.yaml).toContain("vmid: 103");
  });

  const states: readonly (readonly [string, string, (host: CommandHost) => Promise<unknown>, RegExp])[] = [
    ["a paused VM", WEB, (it) => it.simulator.node.edit({ vmid: 100, power: "pause" }), /state is left out: it was paused/],
    ["a locked guest", `${WEB}lock: backup\n`, async () => {}, /Locked by Proxmox \(backup\) when it was read/],
    ["a template", `${WEB}template: 1\n`, async () => {}, /A template; state is left out/],
    ["pending values", `${WEB}\n[PENDING]\ncores: 4\ncipassword: SECRET\n`, async () => {}, /written as it will be then: cipassword; cores 2 -> 4\./],
  ];
  for (const [what, text, make, note] of states) {
    test(`${what} is said in a comment`, async () => {
      await hostOf({ files: { "nodes/pve1/qemu-server/100.conf": text }, running: what === "a paused VM" ? [100] : [] });
      await make(host);
      const { code, out } = await host.run("import", "100");
      expect(code).toBe(0);
      expect(out).toMatch(note);
      expect(out).not.toContain("SECRET");
      writeFileSync(join(host.desired, "100.yaml"), out);
      expect((await host.run("plan")).code).toBe(0);
    });
  }

  test("a guest managed by HA is declared without state", async () => {
    await hostOf({ files: { ...TWO, "ha/resources.cfg": "vm: 100\n\tstate started\n" } });
    const { out } = await host.run("import", "100");
    expect(out).toContain("# state is left out: Proxmox's HA manager decides whether it runs.");
    expect(out).not.toContain("    state:");
  });
});

describe("what is refused", () => {
  test("an existing file is named and nothing is written, whatever else there is to write", async () => {
    await hostOf();
    writeFileSync(join(host.directory, "taken"), "");
    mkdirSync(join(host.directory, "out"));
    writeFileSync(join(host.directory, "out", "103-files.yaml"), "mine\n");
    const ran = await host.run("import", "--out", "out");
    expect(ran.code).toBe(1);
    expect(ran.complaints).toContain("found 103-files.yaml; nothing was written");
    expect(readdirSync(join(host.directory, "out"))).toEqual(["103-files.yaml"]);
    expect(readFileSync(join(host.directory, "out", "103-files.yaml"), "utf8")).toBe("mine\n");
  });

  test("a declaration of the same guest under another name is in the way too", async () => {
    await hostOf();
    mkdirSync(join(host.directory, "out"));
    writeFileSync(join(host.directory, "out", "100-old-name.yml"), "");
    expect((await host.run("import", "--out", "out")).complaints).toContain("found 100-old-name.yml;");
  });

  test("there is no --force", async () => {
    await hostOf();
    expect((await host.run("import", "--force")).code).toBe(64);
  });

  test("a guest that cannot be read stops all: half a set would be taken for the whole", async () => {
    await hostOf();
    host.simulator.faults.add({ kind: "error", status: 500, reason: "no such thing", match: { path: "/nodes/pve1/lxc/103/pending" } });
    const ran = await host.run("import", "--out", "desired");
    expect(ran.code).toBe(1);
    expect(ran.complaints).toContain("lxc/103 cannot be read, so nothing was written");
    expect(readdirSync(host.desired)).toEqual([]);
  });

  test("a directory that cannot be written to is left as it was", async () => {
    await hostOf();
    writeFileSync(join(host.directory, "file"), "");
    const ran = await host.run("import", "--out", "file/below");
    expect(ran.code).toBe(1);
    expect(ran.complaints).toContain("expected to write 2 new files");
  });

  test.skipIf(process.getuid?.() === 0)("a read-only directory", async () => {
    await hostOf();
    chmodSync(host.desired, 0o500);
    expect((await host.run("import", "--out", "desired")).code).toBe(1);
    expect(readdirSync(host.desired)).toEqual([]);
  });

  test("a VMID that is not on this node, with all that are missing", async () => {
    await hostOf();
    const ran = await host.run("import", "100", "998", "999", "--out", "desired");
    expect([ran.code, ran.complaints]).toEqual([1, "agent: expected guests of node pve1, found that 998 is not there, 999 is not there; nothing was written\n"]);
    expect(readdirSync(host.desired)).toEqual([]);
  });

  test.each(["web", "99", "1e3", "-1", "100,101"])("%p is no VMID", async (word) => {
    await hostOf();
    expect((await host.run("import", "--", word)).code).toBe(64);
  });
});

describe("into the desired state itself", () => {
  test("guests that it declares already are skipped, and refused when they are named", async () => {
    await hostOf();
    writeFileSync(join(host.desired, "guests.yaml"), "version: 1\nguests:\n  - { vmid: 100, kind: qemu }\n");
    const named = await host.run("import", "100", "--out", "desired");
    expect(named.code).toBe(1);
    expect(named.complaints).toContain(`found 100 at ${join(host.desired, "guests.yaml")}:3; import into another directory`);
    const all = await host.run("import", "--out", "desired");
    expect([all.code, readdirSync(host.desired).sort()]).toEqual([0, ["103-files.yaml", "guests.yaml"]]);
    expect(all.out).toContain("guest 100 is declared already");
  });

  test("a desired state that cannot be read is not added to", async () => {
    await hostOf();
    writeFileSync(join(host.desired, "guests.yaml"), "version: 1\nguests: [\n");
    const ran = await host.run("import", "--out", "desired");
    expect(ran.code).toBe(1);
    expect(ran.complaints).toContain("expected a readable desired state");
    expect(existsSync(join(host.desired, "100-web.yaml"))).toBe(false);
  });

  test("a directory that is not there yet is made, those above it are not", async () => {
    await hostOf();
    const refused = await host.run("import", "--out", "a/b");
    expect([refused.code, refused.complaints]).toEqual([1, expect.stringContaining(`expected ${join(host.directory, "a")} to be there`)]);
    expect(existsSync(join(host.directory, "a"))).toBe(false);
    expect((await host.run("import", "--out", "a")).code).toBe(0);
    expect(readdirSync(join(host.directory, "a"))).toHaveLength(2);
  });
});
