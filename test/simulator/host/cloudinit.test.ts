import { describe, expect, test } from "bun:test";
import { callerWith, HostUnderTest } from "./host-under-test.ts";

/** GET and PUT /cloudinit (docs/proxmox.md row 75), as Proxmox's own code has them. */

const VM = "boot: order=scsi0\nciuser: ubuntu\ncores: 1\nide2: local:102/vm-102-cloudinit.qcow2,media=cdrom,size=4M\nipconfig0: ip=dhcp\nmemory: 64\nname: db\nnameserver: 1.1.1.1\nostype: l26\nscsi0: local:102/vm-102-disk-0.qcow2,size=16M\n";
const CONFIG = "qemu/102/config";
const DRIVE = "qemu/102/cloudinit";

type Row = Readonly<Record<string, unknown>> & { readonly key: string };

async function running(text = VM): Promise<HostUnderTest> {
  const host = new HostUnderTest({ "qemu-server/102": text });
  expect(await host.run("qemu/102/status/start")).toBe("OK");
  return host;
}

async function rows(host: HostUnderTest): Promise<readonly Row[]> {
  return ((await host.get(DRIVE)) as Row[]).toSorted((left, right) => (left.key < right.key ? -1 : 1));
}

describe("the cloud-init drive of a running guest (row 75)", () => {
  test("is as configured when the guest has just started", async () => {
    expect(await rows(await running())).toEqual([{ key: "ciuser", value: "ubuntu" }, { key: "nameserver", value: "1.1.1.1" }]);
  });

  test("lacks what was changed, added and deleted since; of a changed address nothing is told", async () => {
    const host = await running();
    await host.send("PUT", CONFIG, { ciuser: "admin", citype: "nocloud", ipconfig0: "ip=192.0.2.5/24", ipconfig1: "ip=dhcp", delete: "nameserver" });
    expect(await rows(host)).toEqual([
      { key: "citype", pending: "nocloud" }, { key: "ciuser", value: "ubuntu", pending: "admin" }, { key: "ipconfig1", pending: "ip=dhcp" }, { key: "nameserver", delete: 1 },
    ]);
  });

  test("calls a value of 0 deleted, and hides a password", async () => {
    const host = await running(`${VM}ciupgrade: 1\n`);
    await host.send("PUT", CONFIG, { ciupgrade: "0", cipassword: "hunter2" });
    const told = await rows(host);
    expect(told).toContainEqual({ key: "ciupgrade", delete: 1 });
    expect(JSON.stringify(told)).not.toMatch(/hunter2|\$5\$/);
  });

  test("is written anew by PUT, at the next start, and at once where hotplug says so", async () => {
    const host = await running();
    await host.send("PUT", CONFIG, { ciuser: "admin" });
    const before = await host.digest("qemu/102");
    expect(await host.outcome("PUT", DRIVE)).toBe("200");
    expect(await host.digest("qemu/102")).not.toBe(before);
    expect(await rows(host)).toContainEqual({ key: "ciuser", value: "admin" });
    await host.send("PUT", CONFIG, { ciuser: "root" });
    await host.run("qemu/102/status/stop");
    // What is left of the old process holds the lock for a while.
    await host.clock.advance(60_000);
    expect(await host.run("qemu/102/status/start")).toBe("OK");
    expect(await rows(host)).toContainEqual({ key: "ciuser", value: "root" });
    expect(await host.outcome("PUT", CONFIG, { hotplug: "network,disk,cloudinit" })).toBe("200");
    expect(await host.outcome("PUT", CONFIG, { ciuser: "ubuntu" })).toBe("200");
    expect(await rows(host)).toContainEqual({ key: "ciuser", value: "ubuntu" });
  });

  test("needs VM.Audit to be read and VM.Config.Cloudinit to be written; a lock is in the way", async () => {
    const host = await running();
    const reader = callerWith(["VM.Audit"]);
    expect(await host.outcome("GET", DRIVE, {}, reader)).toBe("200");
    expect(await host.outcome("PUT", DRIVE, {}, reader)).toBe("403 Permission check failed (/vms/102, VM.Config.Cloudinit)");
    expect(await host.outcome("GET", "qemu/999/cloudinit", {}, callerWith([]))).toBe("403 Permission check failed (/vms/999, VM.Audit)");
    expect(await host.outcome("GET", "qemu/999/cloudinit")).toStartWith("500 Configuration file");
    await host.node.edit({ vmid: 102, set: { lock: "backup" } });
    expect(await host.outcome("PUT", DRIVE)).toBe("500 VM is locked (backup)");
  });

  test("that is not there: nothing is written, by PUT neither", async () => {
    const host = await running(VM.replace(/^ide2.*\n/m, ""));
    const before = host.node.configFile(102);
    expect(await host.outcome("PUT", DRIVE)).toBe("200");
    expect(host.node.configFile(102)).toBe(before);
  });
});
