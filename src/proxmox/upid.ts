import type { Upid } from "../ports/proxmox-api.ts";

/** The parts of a worker id, `UPID:node:PID:PSTART:TIME:type:id:user@realm!token:`. */
export interface ParsedUpid {
  readonly node: string;
  readonly pid: number;
  /** Start of the process in clock ticks since boot, as in /proc/PID/stat. */
  readonly processStart: number;
  /** Seconds since the epoch. */
  readonly startedAt: number;
  readonly type: string;
  readonly id: string;
  /** user@realm, with `!token` when a token started it. */
  readonly user: string;
}

/**
 * PID and TIME have eight hexadecimal digits; PSTART has eight or nine (it outgrows eight on a host that has
 * been up for 497 days). The trailing colon is part of it: without it Proxmox says "unable to parse worker upid".
 */
const UPID =
  /^UPID:([A-Za-z0-9][A-Za-z0-9-]*):([0-9A-Fa-f]{8}):([0-9A-Fa-f]{8,9}):([0-9A-Fa-f]{8}):([^:\s]+):([^:\s]*):([^:\s]+):$/;

/** Takes a worker id apart; undefined when the text is not one. */
export function parseUpid(upid: Upid): ParsedUpid | undefined {
  const match = UPID.exec(upid);
  if (match === null) return undefined;
  const [, node = "", pid = "", processStart = "", startedAt = "", type = "", id = "", user = ""] = match;
  return {
    node,
    pid: Number.parseInt(pid, 16),
    processStart: Number.parseInt(processStart, 16),
    startedAt: Number.parseInt(startedAt, 16),
    type,
    id,
    user,
  };
}
