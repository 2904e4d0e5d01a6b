import type { Disk, Machine, Place } from "./report.ts";

/**
 * What a figure was measured on, as far as the kernel tells without asking for rights: nothing here
 * fails, what cannot be read is null.
 */
export interface SystemFiles {
  /** A text file of /proc or /sys, without surrounding space; undefined when it cannot be read. */
  readonly read: (path: string) => string | undefined;
  /** Names in a directory; empty when it cannot be read. */
  readonly list: (path: string) => readonly string[];
  /** Where a path leads, links followed; undefined when nowhere. */
  readonly realPath: (path: string) => string | undefined;
}

/** Layers of device mapper and RAID that are looked through for the disks under a volume. */
const LAYERS_MAX = 8;

/** The machine; `architecture` and `bun` are the process's to say. */
export function describeMachine(files: SystemFiles, architecture: string, bun: string): Machine {
  const processors = files.read("/proc/cpuinfo") ?? "";
  const memoryKib = /^MemTotal:\s+(\d+) kB/m.exec(files.read("/proc/meminfo") ?? "")?.[1];
  return {
    product: productOf(files),
    cpu: /^(?:model name|Model|cpu model)\s*:\s*(.+)$/m.exec(processors)?.[1]?.replace(/\s+/g, " ").trim() ?? null,
    cores: [...processors.matchAll(/^processor\s*:/gm)].length,
    memoryMib: memoryKib === undefined ? null : Math.round(Number(memoryKib) / 1024),
    architecture,
    kernel: files.read("/proc/sys/kernel/osrelease") ?? null,
    bun,
  };
}

function productOf({ read }: SystemFiles): string | null {
  const words = ["sys_vendor", "product_name"].map((name) => read(`/sys/class/dmi/id/${name}`)).filter((word) => word !== undefined && word !== "");
  if (words.length > 0) return words.join(" ");
  return read("/proc/device-tree/model")?.replace(/\0/g, "") ?? null;
}

/** File system and disks under a directory, which must exist. */
export function describePlace(files: SystemFiles, directory: string): Place {
  const path = files.realPath(directory) ?? directory;
  const mount = mountOf(files.read("/proc/self/mountinfo") ?? "", path);
  if (mount === undefined) return { directory: path, mountPoint: null, fileSystem: null, source: null, disks: [] };
  const { mountPoint, fileSystem, source } = mount;
  return { directory: path, mountPoint, fileSystem, source, disks: disksOf(files, mount) };
}

interface Mount {
  readonly device: string;
  readonly mountPoint: string;
  readonly fileSystem: string;
  readonly source: string;
}

/** The mount that holds `path`: the longest one, of equals the last, which lies on top (proc_pid_mountinfo(5)). */
function mountOf(table: string, path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const line of table.split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const [, , device = "", , mountPoint = ""] = before.split(" ").map(unescapeMount);
    const [fileSystem = "", source = ""] = after.split(" ").map(unescapeMount);
    const isAbove = mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`);
    if (fileSystem !== "" && isAbove && mountPoint.length >= (found?.mountPoint.length ?? 0)) found = { device, mountPoint, fileSystem, source };
  }
  return found;
}

/** Blanks and backslashes in names are written in octal there. */
function unescapeMount(word: string): string {
  return word.replace(/\\([0-7]{3})/g, (_whole, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Some file systems (btrfs) have a device number of their own and name a device; others (zfs, nfs) have no device the kernel knows of. */
function disksOf(files: SystemFiles, { device, source }: Mount): readonly Disk[] {
  const named = source.startsWith("/dev/") ? (files.realPath(source) ?? source).split("/").at(-1) : undefined;
  const candidates = [`/sys/dev/block/${device}`, ...(named === undefined ? [] : [`/sys/class/block/${named}`])];
  const start = candidates.map((path) => files.realPath(path)).find((path) => path !== undefined);
  if (start === undefined) return [];
  const names = new Set(wholeDisks(files, start, LAYERS_MAX));
  return [...names].map((path) => describeDisk(files, path));
}

/** The disks a block device lies on: of a partition its disk, of a volume or RAID what it is made of. */
function wholeDisks(files: SystemFiles, path: string, layersLeft: number): readonly string[] {
  if (files.read(`${path}/partition`) !== undefined) return wholeDisks(files, path.slice(0, path.lastIndexOf("/")), layersLeft);
  const below = layersLeft === 0 ? [] : files.list(`${path}/slaves`).flatMap((name) => files.realPath(`/sys/class/block/${name}`) ?? []);
  return below.length === 0 ? [path] : below.toSorted().flatMap((device) => wholeDisks(files, device, layersLeft - 1));
}

function describeDisk({ read }: SystemFiles, path: string): Disk {
  const rotational = read(`${path}/queue/rotational`);
  return {
    name: path.slice(path.lastIndexOf("/") + 1),
    model: read(`${path}/device/model`) ?? null,
    isRotational: rotational === undefined ? null : rotational === "1",
    writeCache: read(`${path}/queue/write_cache`) ?? null,
  };
}
