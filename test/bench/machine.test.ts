import { describe, expect, test } from "bun:test";
import { describeMachine, describePlace, type SystemFiles } from "../../src/bench/machine.ts";
import { reportSchema } from "../../src/bench/report.ts";
import { SYSTEM_FILES } from "../../src/bench/system-files.ts";
import { safeParse } from "valibot";

/** A /proc and /sys of texts and links. */
function system(texts: Readonly<Record<string, string>>, links: Readonly<Record<string, string>> = {}): SystemFiles {
  return {
    read: (path) => texts[path],
    list: (path) => [...new Set(Object.keys(texts).filter((name) => name.startsWith(`${path}/`)).map((name) => name.slice(path.length + 1).split("/")[0] ?? ""))],
    realPath: (path) => links[path] ?? (path.startsWith("/sys") || path.startsWith("/dev") ? undefined : path),
  };
}

const NOTHING = system({});

describe("the machine", () => {
  test("is told from DMI, /proc/cpuinfo, /proc/meminfo and the kernel's release", () => {
    const files = system({
      "/sys/class/dmi/id/sys_vendor": "Dell Inc.", "/sys/class/dmi/id/product_name": "PowerEdge R640",
      "/proc/cpuinfo": "processor\t: 0\nmodel name\t: Intel(R) Xeon(R)   Silver 4210\n\nprocessor\t: 1\nmodel name\t: Intel(R) Xeon(R) Silver 4210",
      "/proc/meminfo": "MemTotal:       65536000 kB\nMemFree: 1 kB", "/proc/sys/kernel/osrelease": "6.14.8-2-pve",
    });
    expect(describeMachine(files, "x64", "1.4.5")).toEqual({ product: "Dell Inc. PowerEdge R640", cpu: "Intel(R) Xeon(R) Silver 4210", cores: 2, memoryMib: 64_000, architecture: "x64", kernel: "6.14.8-2-pve", bun: "1.4.5" });
  });

  test("without DMI is told from the device tree", () => {
    expect(describeMachine(system({ "/proc/device-tree/model": "Raspberry Pi 5\0" }), "arm64", "1").product).toBe("Raspberry Pi 5");
  });

  test("of which nothing can be read is unknown, and no error", () => {
    expect(describeMachine(NOTHING, "x64", "1")).toEqual({ product: null, cpu: null, cores: 0, memoryMib: null, architecture: "x64", kernel: null, bun: "1" });
    expect(describePlace(NOTHING, "/x")).toEqual({ directory: "/x", mountPoint: null, fileSystem: null, source: null, disks: [] });
  });
});

const MOUNTS = [
  "21 1 252:1 / / rw,relatime shared:1 - ext4 /dev/mapper/pve-root rw",
  "22 21 0:5 / /proc rw shared:2 - proc proc rw",
  "30 21 0:50 / /tank rw - zfs tank rw,xattr",
  "31 21 8:33 / /mnt/with\\040blank rw - xfs /dev/sdc1 rw",
  "32 21 0:44 /@data /data rw - btrfs /dev/sdd rw,subvol=/@data",
  "33 21 9:0 / /raid rw - ext4 /dev/md0 rw",
  "34 21 0:60 / /raid rw - tmpfs tmpfs rw",
  "35 21 0:61 / /far rw - nfs4 10.0.0.1:/export rw",
  "36 21 0:62 / /etc/pve rw - fuse /dev/fuse rw",
].join("\n");

const BLOCK = "/sys/devices/pci/block";
const disk = (name: string, model: string, rotational: string): Readonly<Record<string, string>> => ({
  [`${BLOCK}/${name}/device/model`]: model, [`${BLOCK}/${name}/queue/rotational`]: rotational, [`${BLOCK}/${name}/queue/write_cache`]: "write back",
});
const DISKS = system(
  {
    "/proc/self/mountinfo": MOUNTS,
    ...disk("nvme0n1", "Samsung PM9A3", "0"), ...disk("sdc", "WDC WD40", "1"), ...disk("sdd", "SSD 870 EVO", "0"),
    [`${BLOCK}/nvme0n1/nvme0n1p3/partition`]: "3", [`${BLOCK}/sdc/sdc1/partition`]: "1", [`${BLOCK}/sdd/sdd2/partition`]: "2",
    "/sys/devices/virtual/block/dm-1/slaves/nvme0n1p3/partition": "3",
    "/sys/devices/virtual/block/md0/slaves/sdc1/partition": "1", "/sys/devices/virtual/block/md0/slaves/sdd2/partition": "2",
  },
  {
    "/sys/dev/block/252:1": "/sys/devices/virtual/block/dm-1", "/sys/dev/block/8:33": `${BLOCK}/sdc/sdc1`, "/sys/dev/block/9:0": "/sys/devices/virtual/block/md0",
    "/dev/sdd": "/dev/sdd", "/sys/class/block/sdd": `${BLOCK}/sdd`,
    "/sys/class/block/nvme0n1p3": `${BLOCK}/nvme0n1/nvme0n1p3`, "/sys/class/block/sdc1": `${BLOCK}/sdc/sdc1`, "/sys/class/block/sdd2": `${BLOCK}/sdd/sdd2`,
  },
);

describe("the disk under a directory", () => {
  const rows = [
    { what: "LVM on a partition is looked through", directory: "/var/lib/steward", mountPoint: "/", fileSystem: "ext4", disks: ["Samsung PM9A3"] },
    { what: "a partition belongs to its disk, and blanks in mounts are written in octal", directory: "/mnt/with blank/x", mountPoint: "/mnt/with blank", fileSystem: "xfs", disks: ["WDC WD40"] },
    { what: "btrfs has a device number of its own and is found by its source", directory: "/data", mountPoint: "/data", fileSystem: "btrfs", disks: ["SSD 870 EVO"] },
    { what: "zfs has no disks that the kernel names", directory: "/tank/vm", mountPoint: "/tank", fileSystem: "zfs", disks: [] },
    { what: "of two mounts at one place the later lies on top", directory: "/raid", mountPoint: "/raid", fileSystem: "tmpfs", disks: [] },
    { what: "a network has none", directory: "/far/away", mountPoint: "/far", fileSystem: "nfs4", disks: [] },
    { what: "a name that only begins like a mount is not below it", directory: "/tankard", mountPoint: "/", fileSystem: "ext4", disks: ["Samsung PM9A3"] },
  ];
  for (const { what, directory, mountPoint, fileSystem, disks } of rows) {
    test(what, () => {
      const place = describePlace(DISKS, directory);
      expect([place.mountPoint, place.fileSystem, place.disks.map(({ model }) => model)]).toEqual([mountPoint, fileSystem, disks]);
    });
  }

  test("a RAID names all of its disks, each with what it says of itself", () => {
    const files: SystemFiles = { ...DISKS, read: (path) => (path === "/proc/self/mountinfo" ? MOUNTS.replace(/^34 .*\n/m, "") : DISKS.read(path)) };
    expect(describePlace(files, "/raid").disks).toEqual([
      { name: "sdc", model: "WDC WD40", isRotational: true, writeCache: "write back" },
      { name: "sdd", model: "SSD 870 EVO", isRotational: false, writeCache: "write back" },
    ]);
  });

  test("layers that lead round in a circle come to an end", () => {
    const files = system({ "/proc/self/mountinfo": "1 1 9:0 / / rw - ext4 /dev/md0 rw", "/sys/md0/slaves/md0/x": "" }, { "/sys/dev/block/9:0": "/sys/md0", "/sys/class/block/md0": "/sys/md0" });
    expect(describePlace(files, "/").disks.map(({ name }) => name)).toEqual(["md0"]);
  });

  test("of this machine is what the report takes", () => {
    expect(safeParse(reportSchema.entries.place, describePlace(SYSTEM_FILES, "/tmp")).success).toBe(true);
    expect(safeParse(reportSchema.entries.machine, describeMachine(SYSTEM_FILES, process.arch, Bun.version)).success).toBe(true);
    expect(describeMachine(SYSTEM_FILES, process.arch, Bun.version).cores).toBeGreaterThan(0);
  });
});
