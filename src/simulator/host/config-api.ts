import type { GuestKind } from "../../guest/key.ts";
import { jsonValue, type Section } from "./config-file.ts";
import { Died } from "./died.ts";
import type { Guest } from "./guest.ts";
import type { Host } from "./host.ts";
import { pendingDeletes } from "./pending.ts";
import { isTrue } from "./perl.ts";
import { canSnapshot, type Row } from "./status.ts";

/** Reading configurations: the pending-merged view, the running one, a snapshot's, and /pending. */

const HIDDEN = "**********";

export interface ConfigQuery {
  readonly isCurrent: boolean;
  readonly snapshot: string | undefined;
}

/** GET /config: the merged view, the running one or a snapshot, with the digest of the whole file. Dies on an unknown snapshot. */
export function readConfig(host: Host, guest: Guest, query: ConfigQuery): Row {
  const { main, pending, digest, rawLines, snapshots } = guest.view();
  if (query.snapshot !== undefined && query.isCurrent) {
    const message = "cannot use 'snapshot' parameter with 'current'";
    throw Died.parameters({ snapshot: message, current: message });
  }
  if (query.snapshot !== undefined) {
    const section = snapshots.get(query.snapshot);
    if (section === undefined) throw Died.because(`snapshot '${query.snapshot}' does not exist`);
    return toRow(host, guest.kind, section, digest);
  }
  const row = toRow(host, guest.kind, query.isCurrent ? main : merged(main, pending), digest);
  const raw = rawLines.get("");
  return raw === undefined ? row : { ...row, lxc: raw };
}

/** With pending changes taken in; a pending deletion of a value that Perl finds false is not (docs/proxmox.md row 12). */
function merged(main: Section, pending: Section): Section {
  const result = new Map(main);
  for (const [key, value] of pending) if (key !== "delete") result.set(key, value);
  for (const key of pendingDeletes(pending).keys()) if (isTrue(result.get(key))) result.delete(key);
  return result;
}

function shown(kind: GuestKind, key: string, value: string | null): string | number | null {
  return kind === "qemu" && key === "cipassword" ? HIDDEN : jsonValue(kind, key, value);
}

function toRow(host: Host, kind: GuestKind, section: Section, digest: string): Row {
  const entries = [...section].map(([key, value]) => [key, shown(kind, key, value)] as const);
  return Object.fromEntries(host.shuffled([...entries, ["digest", digest] as const]));
}

/** Both views at once: {key, value, pending, delete: 1 or 2 (forced)}. */
export function readPending(host: Host, guest: Guest): Row[] {
  const { main, pending, digest } = guest.view();
  const deletes = new Map(pendingDeletes(pending));
  const rows: Row[] = [{ key: "digest", value: digest }];
  for (const [key, value] of main) {
    const isForced = deletes.get(key);
    rows.push({
      key,
      value: shown(guest.kind, key, value),
      ...(pending.has(key) ? { pending: shown(guest.kind, key, pending.get(key) ?? null) } : {}),
      ...(isForced === undefined ? {} : { delete: isForced ? 2 : 1 }),
    });
    deletes.delete(key);
  }
  const onlyPending = [...pending].filter(([key]) => key !== "delete" && !main.has(key)).map(([key, value]): Row => ({ key, pending: shown(guest.kind, key, value) }));
  const onlyDeleted = [...deletes].map(([key, isForced]): Row => ({ key, delete: isForced ? 2 : 1 }));
  return [...host.shuffled(rows), ...host.shuffled(onlyPending), ...onlyDeleted];
}

/** GET /snapshot: the snapshots, then the guest as it is now. */
export function snapshotList(guest: Guest): Row[] {
  const { main, snapshots, digest } = guest.view();
  const rows = [...snapshots].map(([name, section]): Row => {
    const row: Row = { name, description: section.get("description") ?? "", snaptime: Number(section.get("snaptime") ?? 0) };
    if (guest.kind === "qemu") row["vmstate"] = section.has("vmstate") ? 1 : 0;
    if (section.has("parent")) row["parent"] = section.get("parent");
    return row;
  });
  const current: Row = { name: "current", description: "You are here!", digest, running: guest.running === undefined ? 0 : 1 };
  if (main.has("parent")) current["parent"] = main.get("parent");
  return [...rows, current];
}

/** GET /feature: whether the guest can be snapshotted, cloned or copied. */
export function featureAnswer(host: Host, guest: Guest, feature: string): Row {
  const hasFeature = feature === "snapshot" ? canSnapshot(host, guest) : feature === "clone" ? guest.isTemplate : true;
  return { hasFeature: hasFeature ? 1 : 0, nodes: [host.name] };
}
