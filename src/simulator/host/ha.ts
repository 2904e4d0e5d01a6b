import type { GuestKind } from "../../guest/key.ts";
import type { Host } from "./host.ts";

/** ha/resources.cfg: which guests the HA manager owns, and the state it is asked to keep. */

function sidOf(kind: GuestKind, vmid: number): string {
  return `${kind === "qemu" ? "vm" : "ct"}:${vmid}`;
}

/** The requested state of a managed guest ("started", "stopped"); undefined when HA leaves it alone. */
export function haStateOf(host: Host, kind: GuestKind, vmid: number): string | undefined {
  const state = haResources(host).find((resource) => resource.sid === sidOf(kind, vmid))?.state;
  return state === "ignored" ? undefined : state;
}

export interface HaResource {
  readonly sid: string;
  readonly type: string;
  readonly state: string;
}

/** The managed guests, in the file's order. */
export function haResources(host: Host): readonly HaResource[] {
  return host.haConfig.split(/\n(?=\S)/).flatMap((block) => {
    const [, type = "", id = ""] = /^(vm|ct):\s*(\d+)/.exec(block) ?? [];
    const state = /^\s+state\s+(\S+)/m.exec(block)?.[1] ?? "started";
    return id === "" ? [] : [{ sid: `${type}:${id}`, type, state }];
  });
}

/** Asks HA to keep a managed guest in this state; dies without quorum. */
export function setHaState(host: Host, kind: GuestKind, vmid: number, state: string): void {
  const sid = sidOf(kind, vmid);
  const blocks = haResources(host).map((resource) => `${resource.type}: ${resource.sid.split(":")[1]}\n\tstate ${resource.sid === sid ? state : resource.state}\n`);
  host.setHaConfig(blocks.join("\n"));
}
