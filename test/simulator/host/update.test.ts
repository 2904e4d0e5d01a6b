import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HostUnderTest, LXC_200, QEMU_102, ROOT } from "./host-under-test.ts";

const QEMU = "qemu/101/config";
const DISK = "qemu/102/config";
const LXC = "lxc/200/config";

describe("a write on a stopped QEMU guest", () => {
  const kept: readonly (readonly [string, string, unknown])[] = [
    ["cores", "3", 3], ["memory", "0128", "0128"], ["onboot", "1", 1], ["cpulimit", "1.50", "1.50"], ["tags", "B;a;b", "a;b"], ["tags", "", " "], ["boot", "", " "],
    ["cpu", "host,flags=+aes", "host,flags=+aes"], ["agent", "1", "1"], ["startup", "down=5,order=3", "down=5,order=3"], ["cpuunits", "100000", 10_000], ["ostype", "win10", "win10"],
  ];
  for (const [key, sent, read] of kept) {
    test(`${key}=${JSON.stringify(sent)} reads back as ${JSON.stringify(read)}`, async () => {
      const host = new HostUnderTest();
      expect(await host.outcome("PUT", QEMU, { [key]: sent })).toBe("200");
      expect((await host.config("qemu/101"))[key]).toEqual(read);
    });
  }

  test("makes an address for an interface without one, a new one each time", async () => {
    const host = new HostUnderTest();
    const addresses = new Set<unknown>();
    for (let round = 0; round < 3; round++) {
      await host.send("PUT", QEMU, { net0: "virtio,bridge=vmbr0" });
      addresses.add((await host.config("qemu/101"))["net0"]);
    }
    expect(addresses.size).toBe(3);
    for (const address of addresses) expect(address).toMatch(/^virtio=BC:24:11(:[0-9A-F]{2}){3},bridge=vmbr0$/);
  });

  test("pins Windows to a versioned machine", async () => {
    const host = new HostUnderTest();
    await host.send("PUT", QEMU, { ostype: "win11" });
    expect((await host.config("qemu/101"))["machine"]).toMatch(/^pc-i440fx-\d/);
  });

  const refused: readonly (readonly [string, Record<string, string>, string])[] = [
    ["nothing at all", {}, "500 no options specified"],
    ["a boot device that is not there", { boot: "order=net3" }, "500 invalid bootorder: device 'net3' does not exist'"],
    ["a key set and deleted", { cores: "1", delete: "cores" }, `400 {"delete":"you can't use '-cores' and -delete cores' at the same time"}`],
    ["a balloon larger than the memory", { balloon: "65" }, "500 balloon value too large (must be smaller than assigned memory)"],
    ["a storage that is not there", { scsi0: "nowhere:1" }, "500 storage 'nowhere' does not exist"],
    ["a volume that is not there", { scsi0: "local:101/vm-101-disk-9.raw" }, "500 volume 'local:101/vm-101-disk-9.raw' does not exist"],
    ["an unused volume whose name means nothing", { unused0: "local:1" }, "500 unable to parse directory volume name '1'"],
    ["an ISO that is no CD", { scsi0: "local:iso/x.iso" }, `400 {"scsi0":"explicit 'media=cdrom' is required for iso images"}`],
    ["root's own keys", { args: "-snapshot" }, "500 only root can set 'args' config"],
    ["a real serial port", { serial0: "/dev/ttyS0" }, "500 only root can modify 'serial0' config for real devices"],
    ["a real USB device", { usb0: "host=1234:5678" }, "500 only root can set 'usb0' config for real devices"],
    ["a key that is no public key", { sshkeys: "ssh-rsa%20AAAA" }, "500 SSH public key validation error"],
    ["a stale digest", { digest: "0".repeat(40), name: "x" }, "500 checksum mismatch (file change by other user?)"],
  ];
  for (const [what, parameters, outcome] of refused) {
    test(`is refused for ${what}, and the file stays (rows O4 and O5)`, async () => {
      const host = new HostUnderTest();
      const before = host.node.configFile(101);
      expect(await host.outcome("PUT", QEMU, parameters)).toBe(outcome);
      expect(host.node.configFile(101)).toBe(before);
    });
  }

  test("that fails half way has done its first half", async () => {
    const host = new HostUnderTest();
    expect(await host.outcome("PUT", QEMU, { delete: "name", scsi0: "local:101/none.raw" })).toBe("500 volume 'local:101/none.raw' does not exist");
    expect(host.node.configFile(101)).toContain("delete: name");
    expect(await host.outcome("PUT", QEMU, { onboot: "1" })).toBe("200");
    expect((await host.config("qemu/101"))["name"]).toBeUndefined();
  });

  test("stores a real public key and hides a password", async () => {
    const host = new HostUnderTest();
    const blob = Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from("ssh-ed25519"), Buffer.alloc(36)]).toString("base64");
    const key = encodeURIComponent(`ssh-ed25519 ${blob} me@here\n`);
    expect(await host.outcome("PUT", QEMU, { sshkeys: key, cipassword: "secret" })).toBe("200");
    expect(await host.config("qemu/101")).toMatchObject({ sshkeys: key, cipassword: "**********" });
    expect(host.node.configFile(101)).toMatch(/^cipassword: \$5\$/m);
  });
});

describe("drives", () => {
  test("asking for a new disk where one is makes another and lists the old as unused, every time", async () => {
    const host = new HostUnderTest();
    for (let round = 1; round <= 2; round++) expect(await host.outcome("PUT", DISK, { scsi0: "local-lvm:2" })).toBe("200");
    const config = await host.config("qemu/102");
    expect(config["scsi0"]).toBe("local-lvm:vm-102-disk-1,size=2G");
    expect([config["unused0"], config["unused1"]].toSorted((left, right) => String(left).localeCompare(String(right)))).toEqual(["local-lvm:vm-102-disk-0", "local:102/vm-102-disk-0.qcow2"]);
  });

  test("a detached disk is kept, an unused one deleted is gone for good", async () => {
    const host = new HostUnderTest();
    await host.send("PUT", DISK, { delete: "scsi0" });
    expect(await host.config("qemu/102")).toMatchObject({ unused0: "local:102/vm-102-disk-0.qcow2", boot: "order=net0" });
    await host.send("PUT", DISK, { delete: "unused0" });
    expect(await host.get("storage/local/content", { vmid: "102" })).toEqual([]);
  });

  test("an unused disk of a protected guest is not deleted", async () => {
    const host = new HostUnderTest();
    await host.send("PUT", DISK, { delete: "scsi0" });
    await host.send("PUT", DISK, { protection: "1" });
    expect(await host.outcome("PUT", DISK, { delete: "unused0" })).toBe("500 can't remove unused disk 'local:102/vm-102-disk-0.qcow2' - protection mode enabled");
  });

  test("a disk attached again takes its size from the volume and leaves the unused list", async () => {
    const host = new HostUnderTest();
    await host.send("PUT", DISK, { delete: "scsi0" });
    await host.send("PUT", DISK, { virtio0: "local:102/vm-102-disk-0.qcow2,size=9T,discard=on" });
    expect(await host.config("qemu/102")).toMatchObject({ virtio0: "local:102/vm-102-disk-0.qcow2,discard=on,size=16M" });
    expect((await host.config("qemu/102"))["unused0"]).toBeUndefined();
  });

  test("there is one cloud-init drive", async () => {
    const host = new HostUnderTest();
    expect(await host.outcome("PUT", DISK, { ide2: "local:cloudinit" })).toBe("200");
    expect((await host.config("qemu/102"))["ide2"]).toBe("local:102/vm-102-cloudinit.qcow2,media=cdrom,size=4M");
    expect(await host.outcome("PUT", DISK, { ide0: "local:cloudinit" })).toBe("500 ide0 - cloud-init drive is already attached at 'ide2'");
  });

  test("a CD drive that is added becomes bootable last", async () => {
    const host = new HostUnderTest();
    await host.send("PUT", DISK, { ide2: "none,media=cdrom" });
    expect((await host.config("qemu/102"))["boot"]).toBe("order=scsi0;net0;ide2");
  });

  test("forced deletion frees the volume at once", async () => {
    const host = new HostUnderTest();
    await host.send("PUT", DISK, { delete: "scsi0", force: "1" });
    expect(await host.get("storage/local/content", { vmid: "102" })).toEqual([]);
    expect((await host.config("qemu/102"))["unused0"]).toBeUndefined();
  });

  test("a volume that a snapshot needs is not freed", async () => {
    const host = new HostUnderTest();
    expect(await host.run("qemu/102/snapshot", { snapname: "one" })).toBe("OK");
    await host.send("PUT", DISK, { delete: "scsi0" });
    expect(await host.outcome("PUT", DISK, { delete: "unused0" })).toBe("500 unable to delete 'local:102/vm-102-disk-0.qcow2' - volume is still in use (snapshot?)");
  });
});

describe("a write on a running QEMU guest (rows O14, O15 and O16)", () => {
  async function running(): Promise<HostUnderTest> {
    const host = new HostUnderTest();
    expect(await host.run("qemu/102/status/start")).toBe("OK");
    return host;
  }

  const table: readonly (readonly [string, string, "applied" | "pending"])[] = [
    ["name", "x", "applied"], ["tags", "x", "applied"], ["onboot", "1", "applied"], ["startup", "1", "applied"], ["protection", "1", "applied"], ["cpulimit", "1", "applied"], ["cpuunits", "50", "applied"],
    ["balloon", "64", "applied"], ["ciuser", "x", "applied"], ["hotplug", "disk", "applied"], ["tablet", "0", "applied"], ["memory", "512", "pending"], ["cores", "1", "pending"], ["sockets", "2", "pending"],
    ["cpu", "host", "pending"], ["bios", "ovmf", "pending"], ["boot", "cdn", "pending"], ["agent", "1", "pending"], ["balloon", "0", "pending"], ["hotplug", "memory", "pending"], ["ide3", "none,media=cdrom", "pending"],
    ["scsi1", "local:1", "applied"], ["scsi0", "local:102/vm-102-disk-0.qcow2,cache=none", "pending"], ["scsi0", "local:102/vm-102-disk-0.qcow2,iothread=1,mbps=5", "applied"],
    ["net0", "e1000=BC:24:11:00:01:02,bridge=vmbr0,tag=5", "applied"], ["net0", "virtio=BC:24:11:00:01:02,bridge=vmbr0", "applied"], ["net1", "virtio,bridge=vmbr0", "applied"],
  ];
  for (const [key, value, fate] of table) {
    test(`${key}=${value} is ${fate}`, async () => {
      const host = await running();
      expect(await host.outcome("PUT", DISK, { [key]: value })).toBe("200");
      const row = await host.pending("qemu/102", key);
      expect(row?.["pending"] === undefined ? "applied" : "pending").toBe(fate);
    });
  }

  test("shows pending values merged, running ones with current=1, and applies them at stop", async () => {
    const host = await running();
    await host.send("PUT", DISK, { memory: "512", delete: "cores" });
    expect(await host.config("qemu/102")).toMatchObject({ memory: "512" });
    expect((await host.config("qemu/102"))["cores"]).toBeUndefined();
    expect(await host.config("qemu/102", { current: "1" })).toMatchObject({ memory: "256", cores: 2 });
    expect(await host.pending("qemu/102", "cores")).toEqual({ key: "cores", value: 2, delete: 1 });
    expect(await host.run("qemu/102/status/stop")).toBe("OK");
    expect(await host.config("qemu/102", { current: "1" })).toMatchObject({ memory: "512" });
    expect(host.node.configFile(102)).not.toContain("PENDING");
  });

  test("a pending value that is sent back to the running one is no longer pending (row O21)", async () => {
    const host = await running();
    const before = await host.digest("qemu/102");
    await host.send("PUT", DISK, { memory: "512" });
    await host.send("PUT", DISK, { memory: "256" });
    expect(await host.digest("qemu/102")).toBe(before);
  });

  test("a pending deletion of a value that is 0 does not show in the merged view (row 12)", async () => {
    const host = new HostUnderTest({ "qemu-server/101": "kvm: 0\nmemory: 64\nostype: l26\n" });
    await host.run("qemu/101/status/start");
    await host.send("PUT", QEMU, { delete: "kvm,ostype" });
    expect(await host.config("qemu/101")).toMatchObject({ kvm: 0 });
    expect((await host.config("qemu/101"))["ostype"]).toBeUndefined();
  });

  test("an interface whose bridge is missing fails, stays pending, and the rest of the call is done (row O19)", async () => {
    const host = await running();
    const outcome = await host.outcome("PUT", DISK, { name: "renamed", net1: "virtio,bridge=nowhere" });
    expect(outcome).toStartWith('400 {"net1":"hotplug problem - VM 102 qmp command');
    expect(await host.config("qemu/102", { current: "1" })).toMatchObject({ name: "renamed" });
    expect(await host.pending("qemu/102", "net1")).toMatchObject({ key: "net1", pending: expect.stringContaining("bridge=nowhere") });
  });

  test("records what the cloud-init drive does not show yet, until the next start", async () => {
    const host = new HostUnderTest({ "qemu-server/102": `${QEMU_102}ciuser: bob\nide2: local:102/vm-102-cloudinit.qcow2,media=cdrom\n` });
    await host.run("qemu/102/status/start");
    await host.send("PUT", DISK, { ciuser: "eve", nameserver: "1.1.1.1" });
    expect(host.node.configFile(102)).toEndWith("[special:cloudinit]\nadded: nameserver\nciuser: bob\n");
    await host.send("PUT", DISK, { ciuser: "bob", delete: "nameserver" });
    expect(host.node.configFile(102)).not.toContain("added");
    await host.run("qemu/102/status/stop");
    await host.clock.advance(1_000);
    await host.run("qemu/102/status/start");
    expect(host.node.configFile(102)).not.toContain("special");
  });
});

describe("a write on a container", () => {
  const kept: readonly (readonly [string, string, unknown])[] = [
    ["memory", "0256", 256], ["cores", "2", 2], ["tags", "B;a", "a;b"], ["nameserver", "1.1.1.1,8.8.8.8", "1.1.1.1 8.8.8.8"], ["searchdomain", "a.b;c.d", "a.b c.d"], ["onboot", "0", 0], ["cpulimit", "1.5", "1.5"],
  ];
  for (const [key, sent, read] of kept) {
    test(`${key}=${sent} reads back as ${JSON.stringify(read)}`, async () => {
      const host = new HostUnderTest();
      expect(await host.outcome("PUT", LXC, { [key]: sent })).toBe("200");
      expect((await host.config("lxc/200"))[key]).toEqual(read);
    });
  }

  const refused: readonly (readonly [string, Record<string, string>, string])[] = [
    ["nothing", {}, "500 no options specified"],
    ["deleting what it needs", { delete: "memory" }, "500 unable to delete required option 'memory'"],
    ["changing what is read-only", { unprivileged: "1" }, "500 unable to modify read-only option: 'unprivileged'"],
    ["features of a privileged one", { features: "nesting=1" }, "403 Permission check failed (changing feature flags for privileged container is only allowed for root@pam)"],
    ["a path of the host", { mp0: "/srv,mp=/srv" }, "403 Permission check failed (mount point type bind is only allowed for root@pam)"],
    ["a device", { dev0: "/dev/null" }, "403 Permission check failed (configuring device passthrough is only allowed for root@pam)"],
    ["a stale digest", { digest: "0".repeat(40), hostname: "x" }, "500 detected modified configuration - file changed by other user? Try again."],
  ];
  for (const [what, parameters, outcome] of refused) {
    test(`is refused for ${what}`, async () => {
      const host = new HostUnderTest();
      const before = host.node.configFile(200);
      expect(await host.outcome("PUT", LXC, parameters)).toBe(outcome);
      expect(host.node.configFile(200)).toBe(before);
    });
  }

  test("with a bridge that is missing fails, and is written all the same; so is every write after it", async () => {
    const host = new HostUnderTest();
    expect(await host.outcome("PUT", LXC, { net1: "name=eth1,bridge=nope" })).toBe("500 bridge 'nope' does not exist");
    expect((await host.config("lxc/200"))["net1"]).toContain("bridge=nope");
    expect(await host.outcome("PUT", LXC, { hostname: "other" })).toBe("500 bridge 'nope' does not exist");
    expect(await host.config("lxc/200")).toMatchObject({ hostname: "other" });
  });

  test("makes a volume for a mount point but takes a root file system's size syntax literally", async () => {
    const host = new HostUnderTest();
    await host.send("PUT", LXC, { mp0: "local-lvm:3,mp=/data,backup=1" });
    expect((await host.config("lxc/200"))["mp0"]).toBe("local-lvm:vm-200-disk-0,mp=/data,backup=1,size=3G");
    await host.send("PUT", LXC, { rootfs: "local:8" });
    expect((await host.config("lxc/200"))["rootfs"]).toBe("local:8");
    expect(await host.run("lxc/200/status/start")).toBe("volume 'local:8' does not exist");
  });

  test("that runs: memory and limits at once, the rest pending, applied at stop (row O17)", async () => {
    const host = new HostUnderTest();
    await host.run("lxc/200/status/start");
    await host.send("PUT", LXC, { memory: "256", cpulimit: "1", hostname: "live", arch: "i386", nameserver: "1.1.1.1" });
    expect(await host.config("lxc/200", { current: "1" })).toMatchObject({ memory: 256, cpulimit: "1", hostname: "live", arch: "amd64" });
    expect(await host.pending("lxc/200", "arch")).toEqual({ key: "arch", value: "amd64", pending: "i386" });
    await host.run("lxc/200/status/stop");
    expect(host.node.configFile(200)).not.toContain("pending");
    expect(await host.config("lxc/200")).toMatchObject({ arch: "i386", nameserver: "1.1.1.1" });
  });

  test("where memory cannot be changed live: the call fails and nothing is kept, fast keys excepted", async () => {
    const host = new HostUnderTest(undefined, { traits: { hasContainerCgroups: false } });
    await host.run("lxc/200/status/start");
    const before = host.node.configFile(200);
    expect(await host.outcome("PUT", LXC, { memory: "256" })).toStartWith('400 {"memory":"unable to hotplug memory');
    expect(host.node.configFile(200)).toBe(before);
  });

  test("by root may do what a token may not", async () => {
    const host = new HostUnderTest({ "lxc/200": LXC_200 });
    expect(await host.outcome("PUT", LXC, { features: "nesting=1", mp0: "/srv,mp=/srv" }, ROOT)).toBe("200");
  });
});

describe("laws of writes", () => {
  const change = fc.oneof(
    fc.record({ cores: fc.integer({ min: 1, max: 64 }).map(String) }),
    fc.record({ memory: fc.integer({ min: 16, max: 9999 }).map(String) }),
    fc.record({ onboot: fc.constantFrom("0", "1") }),
    fc.record({ tags: fc.array(fc.constantFrom("a", "B", "c")).map((tags) => tags.join(";")) }),
    fc.record({ name: fc.constantFrom("one", "two", "Three") }),
    fc.record({ description: fc.string({ maxLength: 10 }) }),
    fc.record({ delete: fc.constantFrom("cores", "memory", "tags", "name", "description", "onboot") }),
    fc.record({ revert: fc.constantFrom("cores", "memory", "name") }),
  ) as fc.Arbitrary<Record<string, string>>;

  for (const isRunning of [false, true]) {
    test(`the digest changes exactly when the file does, the guest ${isRunning ? "running" : "stopped"} (row O6)`, async () => {
      await fc.assert(fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), async (changes) => {
        const host = new HostUnderTest();
        if (isRunning) await host.run("qemu/101/status/start");
        for (const parameters of changes) {
          const [file, digest] = [host.node.configFile(101), await host.digest("qemu/101")];
          await host.send("PUT", QEMU, parameters);
          expect((await host.digest("qemu/101")) === digest).toBe(host.node.configFile(101) === file);
        }
      }), { numRuns: 25 });
    });
  }

  test("what a write was answered 200 for is what the merged view shows", async () => {
    const host = new HostUnderTest();
    await host.run("qemu/101/status/start");
    const values = fc.record({ cores: fc.integer({ min: 1, max: 64 }), onboot: fc.constantFrom(0, 1), name: fc.constantFrom("one", "two"), cpu: fc.constantFrom("host", "max") }, { requiredKeys: [] });
    await fc.assert(fc.asyncProperty(values, async (wanted) => {
      fc.pre(Object.keys(wanted).length > 0);
      const sent = Object.fromEntries(Object.entries(wanted).map(([key, value]) => [key, String(value)]));
      expect(await host.outcome("PUT", QEMU, sent)).toBe("200");
      expect(await host.config("qemu/101")).toMatchObject(wanted);
    }), { numRuns: 40 });
  });
});
