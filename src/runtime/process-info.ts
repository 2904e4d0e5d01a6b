import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ProcessSample } from "../ports/process-sample.ts";

/**
 * Clock ticks a second in /proc/<pid>/stat. The kernel fixes it to 100 for user space on every
 * architecture this runs on (USER_HZ), whatever its own timer frequency is.
 */
const TICKS_PER_SECOND = 100;

/** Positions in /proc/<pid>/stat counted after the command name's closing parenthesis (proc(5), minus three). */
const STAT_USER_TICKS = 11;
const STAT_SYSTEM_TICKS = 12;
const STAT_START_TICKS = 19;

/**
 * Reads this process's use of the machine from `procDirectory` (/proc). Undefined where it cannot be
 * read (another system, a hardened /proc): metrics then leave it out, which is no reason to fail.
 */
export function readProcessSample(procDirectory = "/proc"): ProcessSample | undefined {
  try {
    const own = join(procDirectory, "self");
    return parseProcess({
      stat: readFileSync(join(own, "stat"), "utf8"),
      status: readFileSync(join(own, "status"), "utf8"),
      limits: readFileSync(join(own, "limits"), "utf8"),
      machineStat: readFileSync(join(procDirectory, "stat"), "utf8"),
      openFds: readdirSync(join(own, "fd")).length,
    });
  } catch {
    return undefined;
  }
}

interface ProcTexts {
  readonly stat: string;
  readonly status: string;
  readonly limits: string;
  readonly machineStat: string;
  readonly openFds: number;
}

function parseProcess(texts: ProcTexts): ProcessSample | undefined {
  // The command name may hold spaces and parentheses: fields are counted from its last one.
  const fields = texts.stat.slice(texts.stat.lastIndexOf(")") + 2).trim().split(/\s+/);
  const ticks = [STAT_USER_TICKS, STAT_SYSTEM_TICKS, STAT_START_TICKS].map((position) => Number(fields[position]));
  const [userTicks = NaN, systemTicks = NaN, startTicks = NaN] = ticks;
  const sample = {
    cpuSeconds: (userTicks + systemTicks) / TICKS_PER_SECOND,
    // Not from stat: that counts pages, whose size differs between machines.
    residentBytes: kibibytes(texts.status, "VmRSS"),
    virtualBytes: kibibytes(texts.status, "VmSize"),
    openFds: texts.openFds,
    maxFds: softFdLimit(texts.limits),
    startTimeSeconds: Number(/^btime (\d+)$/m.exec(texts.machineStat)?.[1]) + startTicks / TICKS_PER_SECOND,
  };
  return Object.values(sample).some((value) => Number.isNaN(value)) ? undefined : sample;
}

function kibibytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
}

function softFdLimit(limits: string): number {
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  return soft === "unlimited" ? Infinity : Number(soft);
}
