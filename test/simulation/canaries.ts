import { Lanes, type Submission } from "../../src/lanes/lanes.ts";
import type { Result } from "../../src/ports/errors.ts";
import type { ProxmoxApi } from "../../src/ports/proxmox-api.ts";
import type { HostSource } from "../../src/reconcile/host-source.ts";
import type { SiteOptions } from "../support/simulated-site.ts";

/** Planted bugs, each one that a tired engineer might write. The checks must find every one of them. */

export interface Canary {
  readonly name: string;
  readonly plant: Pick<SiteOptions, "replace" | "diskLies" | "engineSettings">;
  /** What a violation that catches it says. */
  readonly caughtBy: RegExp;
}

export const CANARIES: readonly Canary[] = [
  { name: "a journal that acknowledges before the sync", plant: { diskLies: "dataSync" }, caughtBy: /is not on the disk/ },
  { name: "a client that sends a lost mutation again", plant: { replace: { api: retrying } }, caughtBy: /sent a second time|not read since|still on its way|is at work/ },
  { name: "lanes that run two jobs of one guest at once", plant: { replace: { lanes: (clock) => new CarelessLanes({ clock }) } }, caughtBy: /still on its way|is at work|two open operations|not read since|sent a second time/ },
  { name: "a source that swallows a change", plant: { replace: { source: swallowing } }, caughtBy: /was not noticed|in good times/ },
  { name: "a settle window that is too short", plant: { engineSettings: { requestTimeoutMs: -14_000 } }, caughtBy: /still on its way|is at work/ },
  { name: "a client that believes a guest it could not read", plant: { replace: { api: remembering } }, caughtBy: /not read since/ },
];

function retrying(api: ProxmoxApi): ProxmoxApi {
  return overriding(api, {
    mutate: async (request) => {
      const first = await api.mutate(request);
      return !first.ok && first.error.delivery === "unknown" ? api.mutate(request) : first;
    },
  });
}

/** Answers from memory where the host does not answer. */
function remembering(api: ProxmoxApi): ProxmoxApi {
  const known = new Map<number, Awaited<ReturnType<ProxmoxApi["readConfig"]>>>();
  return overriding(api, {
    readConfig: async (guest) => {
      const read = await api.readConfig(guest);
      if (read.ok) known.set(guest.vmid, read);
      return read.ok ? read : (known.get(guest.vmid) ?? read);
    },
  });
}

function overriding(api: ProxmoxApi, other: Partial<ProxmoxApi>): ProxmoxApi {
  return new Proxy(api, {
    get: (target, name): unknown => {
      const member: unknown = Reflect.get(other, name) ?? Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** Every third change is forgotten, a resync is not asked for. */
function swallowing(source: HostSource): HostSource {
  let count = 0;
  return new Proxy(source, {
    get: (target, name): unknown => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      if (name !== "poll") return member.bind(target);
      return async (): ReturnType<HostSource["poll"]> => {
        const poll = await target.poll();
        return poll.ok && poll.value.changed.size > 0 && ++count % 3 === 0 ? { ok: true, value: { ...poll.value, changed: new Set() } } : poll;
      };
    },
  });
}

/** Waits for nobody, and now and then starts a job a second time beside itself: the queue before the lanes would else hide it. */
class CarelessLanes extends Lanes {
  #count = 0;

  override submit<T>(_vmid: number, job: () => Promise<T> | T): Result<Submission<T>> {
    const start = async (): Promise<T> => job();
    const done = start().then((value) => ({ ok: true, value }) as const, (error: unknown) => ({ ok: false, error }) as const);
    if (++this.#count % 3 === 0) void start().catch(() => {});
    return { ok: true, value: { done } };
  }
}
