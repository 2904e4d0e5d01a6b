import type { ApiMethod, Parameters, ParameterValue } from "../api.ts";
import type { Clock } from "../../ports/clock.ts";

/** What arrived and what became of it, for tests and GET /_sim/log. Secrets are not in it. */

interface RequestLogEntry {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly method: string;
  /** Path as sent, without its query. */
  readonly path: string;
  /** "user@realm!token", "-" before authentication. */
  readonly user: string;
  /** null: no answer was sent (yet). */
  readonly status: number | null;
  readonly parameters: Parameters;
}

/** An entry while its request is under way. */
export interface OpenLogEntry {
  update(change: Partial<Pick<RequestLogEntry, "user" | "status" | "parameters">>): void;
}

export interface RequestLog {
  begin(method: string, path: string): OpenLogEntry;
  /** Oldest first. */
  entries(): readonly RequestLogEntry[];
  /** Entries of requests that ask for a change: what a converged agent must not send. */
  mutations(): readonly RequestLogEntry[];
  /** Requests ever seen, the ones dropped from the log included. */
  count(): number;
  clear(): void;
}

/** Enough for any test; the oldest go first, and what only read before what asked for a change. */
const MAX_ENTRIES = 10_000;
const SECRET_PARAMETERS: ReadonlySet<string> = new Set(["cipassword", "password", "new-password", "otp", "tfa-challenge"]);
const READ_METHOD: ApiMethod = "GET";

export function createRequestLog(clock: Clock): RequestLog {
  let entries: RequestLogEntry[] = [];
  let count = 0;
  return {
    begin(method, path) {
      const entry = { atMs: clock.now(), method, path, user: "-", status: null, parameters: {} };
      entries.push(entry);
      count++;
      if (entries.length > MAX_ENTRIES) entries = shortened(entries);
      return {
        update: (change) => {
          Object.assign(entry, change);
          if (change.parameters !== undefined) Object.assign(entry, { parameters: withoutSecrets(change.parameters) });
        },
      };
    },
    entries: () => entries,
    mutations: () => entries.filter(isMutation),
    count: () => count,
    clear: () => {
      entries = [];
    },
  };
}

function isMutation({ method }: RequestLogEntry): boolean {
  return method !== READ_METHOD;
}

/** Half as many at most, in their order: the newest changes, and the newest reads as far as there is room. */
function shortened(entries: readonly RequestLogEntry[]): RequestLogEntry[] {
  const kept = MAX_ENTRIES / 2;
  const changes = entries.filter(isMutation).slice(-kept);
  const room = kept - changes.length;
  const reads = room === 0 ? [] : entries.filter((entry) => !isMutation(entry)).slice(-room);
  const both = new Set([...changes, ...reads]);
  return entries.filter((entry) => both.has(entry));
}

function withoutSecrets(parameters: Parameters): Parameters {
  const clean = Object.entries(parameters).map(([key, value]): [string, ParameterValue] => [
    key,
    SECRET_PARAMETERS.has(key) ? "***" : value,
  ]);
  return Object.fromEntries(clean);
}
