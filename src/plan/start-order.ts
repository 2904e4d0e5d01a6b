import type { RawConfig } from "../guest/observed.ts";

/**
 * When a guest's turn to start has come. The order is that of Proxmox's own startall: by `startup`
 * order (none: last), within one order by vmid, and `up` seconds after a start before the next one
 * in line. Unlike startall, a guest that does not start must not stop the others: the caller marks it.
 */
export interface StartCandidate {
  readonly vmid: number;
  /** undefined: last. */
  readonly order: number | undefined;
  /** Seconds to wait after this guest's start before the next in line; 0 when not given. */
  readonly upSeconds: number;
  /** False while it is held or in backoff after a failure: nobody waits for it then. */
  readonly isReady: boolean;
}

/** A start that succeeded, as long as its `up` delay may matter. */
export interface RecentStart extends Omit<StartCandidate, "isReady"> {
  /** When the start had succeeded, on the clock that `nowMs` is of (monotonic). */
  readonly startedAtMs: number;
}

export type StartTurn =
  | { readonly mayStart: true }
  | { readonly mayStart: false; readonly reason: string };

const MS_PER_SECOND = 1000;
const LAST = Number.MAX_SAFE_INTEGER;

/**
 * Whether `vmid` may start now. `candidates`: every guest that is to be started and does not run yet,
 * `vmid` and those being started right now included; a vmid that is not among them has no order and
 * may start. `concurrent`: how many of one order may be on their way at once (startall: one).
 */
export function mayStart(
  vmid: number, candidates: readonly StartCandidate[], recent: readonly RecentStart[], nowMs: number, concurrent = 1,
): StartTurn {
  const own = candidates.find((candidate) => candidate.vmid === vmid);
  if (own === undefined) return { mayStart: true };
  const delay = longestDelay(own, recent, nowMs);
  const ahead = candidates.filter((candidate) => candidate.isReady && isBefore(candidate, own));
  const lower = ahead.filter((candidate) => orderOf(candidate) < orderOf(own));
  // A neighbour of the same order only keeps others waiting when it fills the line or has a delay to be kept.
  const blocking = lower[0] ?? ahead.find((candidate) => candidate.upSeconds > 0) ?? (ahead.length >= concurrent ? ahead[0] : undefined);
  if (blocking !== undefined) return { mayStart: false, reason: `guest ${blocking.vmid} starts first` };
  return delay ?? { mayStart: true };
}

function longestDelay(own: StartCandidate, recent: readonly RecentStart[], nowMs: number): StartTurn | undefined {
  let latest: { readonly vmid: number; readonly leftMs: number } | undefined;
  for (const start of recent) {
    const leftMs = start.startedAtMs + start.upSeconds * MS_PER_SECOND - nowMs;
    if (start.vmid !== own.vmid && isBefore(start, own) && leftMs > (latest?.leftMs ?? 0)) latest = { vmid: start.vmid, leftMs };
  }
  if (latest === undefined) return undefined;
  const reason = `guest ${latest.vmid} asks for a delay, ${Math.ceil(latest.leftMs / MS_PER_SECOND)} s of it are left`;
  return { mayStart: false, reason };
}

type Place = Pick<StartCandidate, "vmid" | "order">;

function isBefore(left: Place, right: Place): boolean {
  return orderOf(left) - orderOf(right) < 0 || (orderOf(left) === orderOf(right) && left.vmid < right.vmid);
}

function orderOf(place: Place): number {
  return place.order ?? LAST;
}

/** `startup` of a config: "order=2,up=30,down=60" or "2,up=30" (docs/proxmox.md row 65). What cannot be read is not given. */
export function startupOf(config: RawConfig): { readonly order: number | undefined; readonly upSeconds: number; readonly downSeconds: number | undefined } {
  let order: number | undefined;
  let upSeconds = 0;
  let downSeconds: number | undefined;
  for (const part of String(config["startup"] ?? "").split(/[,\s]+/)) {
    const match = /^(?:(order|up|down)=)?(\d+)$/.exec(part);
    if (match === null) continue;
    if (match[1] === "up") upSeconds = Number(match[2]);
    else if (match[1] === "down") downSeconds = Number(match[2]);
    else order = Number(match[2]);
  }
  return { order, upSeconds, downSeconds };
}
