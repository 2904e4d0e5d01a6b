import { describe, expect, test } from "bun:test";
import { allowedKeys } from "../../src/gate/allow-list.ts";
import type { GuestKind } from "../../src/guest/key.ts";
import type { RawConfig } from "../../src/guest/observed.ts";
import { appliesWhen } from "../../src/plan/hot-applied.ts";
import { HostUnderTest } from "../simulator/host/host-under-test.ts";

/**
 * What the plan says of each key that may be sent, against a host that decides by itself what it applies
 * to a running guest (recorded answers hold it to the real one).
 */

type Row = readonly [key: string, value: string | undefined];

const QEMU_SETS: readonly Row[] = [
  ["agent", "1"], ["audio0", "device=AC97"], ["balloon", "64"], ["balloon", "0"], ["boot", "order=net0"], ["citype", "nocloud"], ["ciupgrade", "0"], ["ciuser", "x"], ["cores", "1"], ["cpu", "host"],
  ["cpulimit", "1"], ["cpuunits", "200"], ["description", "x"], ["hotplug", "disk"], ["hotplug", "cpu"], ["ipconfig0", "ip=dhcp"], ["keyboard", "de"], ["localtime", "1"], ["memory", "512"], ["name", "x"],
  ["nameserver", "192.0.2.1"], ["net0", "e1000=BC:24:11:00:01:02,bridge=vmbr0,tag=5"], ["net0", "virtio=BC:24:11:00:01:02,bridge=vmbr0"], ["net1", "virtio,bridge=vmbr0"], ["numa", "1"], ["onboot", "1"], ["ostype", "other"],
  ["protection", "1"], ["rng0", "source=/dev/urandom"], ["searchdomain", "example.test"], ["shares", "500"], ["sockets", "2"],
  ["sshkeys", "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%20a"],
  ["startup", "1"], ["tablet", "0"], ["tags", "x"], ["vcpus", "1"], ["vga", "qxl"],
];
const LXC_SETS: readonly Row[] = [
  ["cmode", "console"], ["console", "0"], ["cores", "1"], ["cpulimit", "1"], ["cpuunits", "200"], ["debug", "1"], ["description", "x"], ["hostname", "x"], ["memory", "256"], ["nameserver", "192.0.2.1"],
  ["net0", "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:00,tag=5"], ["onboot", "1"], ["ostype", "ubuntu"], ["protection", "1"], ["searchdomain", "example.test"], ["startup", "1"], ["swap", "128"], ["tags", "x"],
  ["timezone", "host"], ["tty", "3"],
];
const ROWS: Readonly<Record<GuestKind, readonly Row[]>> = { qemu: QEMU_SETS, lxc: LXC_SETS };
const PLACE: Readonly<Record<GuestKind, string>> = { qemu: "qemu/102", lxc: "lxc/200" };

/** A guest that was started with `hotplug` and the key's value, to delete it from. */
async function started(kind: GuestKind, first: Readonly<Record<string, string>>): Promise<{ host: HostUnderTest; running: RawConfig }> {
  const host = new HostUnderTest();
  if (Object.keys(first).length > 0) expect(await host.outcome("PUT", `${PLACE[kind]}/config`, first)).toBe("200");
  expect(await host.run(`${PLACE[kind]}/status/start`)).toBe("OK");
  return { host, running: (await host.config(PLACE[kind], { current: "1" })) as RawConfig };
}

async function isApplied(host: HostUnderTest, kind: GuestKind, [key, value]: Row): Promise<boolean> {
  expect(await host.outcome("PUT", `${PLACE[kind]}/config`, value === undefined ? { delete: key } : { [key]: value })).toBe("200");
  const row = await host.pending(PLACE[kind], key);
  return row?.["pending"] === undefined && row?.["delete"] === undefined;
}

for (const kind of ["qemu", "lxc"] as const) {
  describe(`what may be sent to a running ${kind} guest`, () => {
    const hotplugs = kind === "qemu" ? [{}, { hotplug: "0" }, { hotplug: "network,disk,usb,cpu" }] : [{}];
    for (const hotplug of hotplugs) {
      test.each(ROWS[kind])(`%s to %j is applied when the plan says, with ${JSON.stringify(hotplug)} (rows O14, O15 and O16)`, async (key, value) => {
        const { host, running } = await started(kind, hotplug);
        const said = appliesWhen(kind, { key, send: value }, "running", running);
        expect([key, await isApplied(host, kind, [key, value])]).toEqual([key, said === "now"]);
      });
    }

    const deletable = new Set(allowedKeys(kind).filter(([, allowed]) => allowed.delete).map(([key]) => key.replace("[n]", "0")));
    const deletions = ROWS[kind].filter(([key, value], index, rows) => deletable.has(key) && rows.findIndex(([other]) => other === key) === index && value !== undefined);
    test.each(deletions)("%s, set to %j, is deleted when the plan says (rows O14 and O15)", async (key, value) => {
      const { host, running } = await started(kind, { [key]: value ?? "" });
      const said = appliesWhen(kind, { key, send: undefined }, "running", running);
      expect([key, await isApplied(host, kind, [key, undefined])]).toEqual([key, said === "now"]);
      await host.run(`${PLACE[kind]}/status/stop`);
      // Deleting gives back the default: nothing of the value is left behind.
      expect((await host.config(PLACE[kind]))[key]).toBeUndefined();
    });
  });
}

test("every key that may be sent is tried out here", () => {
  for (const kind of ["qemu", "lxc"] as const) {
    const tried = new Set(ROWS[kind].map(([key]) => key.replace(/^(net|ipconfig)\d+$/, "$1[n]")));
    expect(allowedKeys(kind).map(([key]) => key).filter((key) => !tried.has(key))).toEqual([]);
  }
});
