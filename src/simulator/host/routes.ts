import type { Caller } from "../api.ts";
import type { GuestKind } from "../../guest/key.ts";
import { readCloudinit, regenerateDrive } from "./cloudinit.ts";
import { featureAnswer, readConfig, readPending, snapshotList } from "./config-api.ts";
import { Died } from "./died.ts";
import type { Host } from "./host.ts";
import { cloneQemu, createLxc, createQemu, destroyLxc, destroyQemu, makeTemplate } from "./lifecycle.ts";
import { rebootLxc, resumeLxc, shutdownLxc, startLxc, stopLxc, suspendLxc } from "./lxc-power.ts";
import { applyLxcUpdate, prepareLxcUpdate } from "./lxc-update.ts";
import * as node from "./node-api.ts";
import { LOCK_TIMEOUT_MS, withTaskLock } from "./process.ts";
import { reboot, reset, resume, shutdown, start, stop, suspend } from "./qemu-power.ts";
import { applyUpdate, assertUnlocked, prepareUpdate } from "./qemu-update.ts";
import type { Resources } from "./resources.ts";
import type { OptionSchema } from "./schema.ts";
import { createSnapshot, deleteSnapshot, resize, rollback } from "./snapshots.ts";
import { currentStatus, statusRow, type Row } from "./status.ts";
import { listClusterTasks, listTasks, stopTask, taskLog, taskStatus, type Counted } from "./tasks-api.ts";
import type { Values } from "./verify.ts";

/** The API's methods: what answers each, and whether it is pvedaemon that would. */

export interface Request {
  readonly host: Host;
  readonly resources: Resources;
  readonly caller: Caller;
  /** 0 where the path has none. */
  readonly vmid: number;
  /** Path parameters besides node and vmid. */
  readonly path: Readonly<Record<string, string>>;
  readonly values: Values;
}

export interface Reply {
  readonly data: unknown;
  readonly total?: number | undefined;
}

export interface Route {
  /** "GET /nodes/{node}/qemu" */
  readonly name: string;
  readonly isProxied: boolean;
  readonly answer: (request: Request) => Reply | Promise<Reply>;
  /** For methods that the generated schema does not hold. */
  readonly parameters?: Readonly<Record<string, OptionSchema>>;
  /** On /vms/{vmid}, checked first; for methods that the generated schema does not hold. */
  readonly privileges?: readonly string[];
}

type Answer = (request: Request) => unknown;

function route(name: string, isProxied: boolean, answer: Answer, parameters?: Readonly<Record<string, OptionSchema>>): Route {
  const reply = async (request: Request): Promise<Reply> => ({ data: await answer(request) });
  return parameters === undefined ? { name, isProxied, answer: reply } : { name, isProxied, answer: reply, parameters };
}

function counted(name: string, isProxied: boolean, answer: (request: Request) => Counted): Route {
  return {
    name,
    isProxied,
    answer: (request) => {
      const { rows, total } = answer(request);
      return { data: rows, total };
    },
  };
}

function subdirs(...names: readonly string[]): readonly Row[] {
  return names.map((subdir) => ({ subdir }));
}

const TEXT = { type: "string", optional: 1 } as const;
const FLAG = { type: "boolean", optional: 1 } as const;
const VMID = { type: "integer", optional: 1, format: "pve-vmid", minimum: 100, maximum: 999_999_999 } as const;

const CLUSTER_OPTIONS = {
  delete: { type: "string", optional: 1, format: "pve-configid-list" },
  "registered-tags": { type: "string", optional: 1, format: "pve-tag-list" },
  ...Object.fromEntries(
    ["bwlimit", "console", "crs", "description", "email_from", "fencing", "ha", "http_proxy", "keyboard", "language", "mac_prefix"].map((name) => [name, TEXT]),
  ),
  ...Object.fromEntries(["max_workers", "migration", "next-id", "notify", "tag-style", "user-tag-access", "webauthn", "u2f"].map((name) => [name, TEXT])),
} as const;

function listGuests({ host, caller, values }: Request, kind: GuestKind): readonly Row[] {
  const visible = host.guests(kind).filter((guest) => caller.can(`/vms/${guest.vmid}`, "VM.Audit"));
  return host.shuffled(visible).map((guest) => statusRow(host, guest, values.get("full") === "1"));
}

function listResources({ host, resources, caller, values }: Request): readonly Row[] {
  const type = values.get("type");
  const rows = [...resources.guestRows(caller), ...node.otherResources(host, caller)];
  const wanted: Readonly<Record<string, readonly string[]>> = { vm: ["qemu", "lxc"], sdn: ["network", "sdn"] };
  return type === undefined || type === null ? rows : rows.filter((row) => (wanted[type] ?? [type]).includes(String(row["type"])));
}

function configOf(request: Request, kind: GuestKind): Row {
  const { host, vmid, values } = request;
  return readConfig(host, host.needGuest(kind, vmid), { isCurrent: values.get("current") === "1", snapshot: values.get("snapshot") ?? undefined });
}

async function putQemuConfig({ host, vmid, caller, values }: Request): Promise<null> {
  const update = prepareUpdate(host, vmid, caller, values);
  const release = await host.needGuest("qemu", vmid).lock.acquire(LOCK_TIMEOUT_MS, host.stopped);
  try {
    applyUpdate(update, () => undefined);
  } finally {
    release();
  }
  return null;
}

/** The same as a task; null when it ends well within `background_delay` seconds. */
async function postQemuConfig({ host, vmid, caller, values }: Request): Promise<string | null> {
  const update = prepareUpdate(host, vmid, caller, values);
  const guest = host.needGuest("qemu", vmid);
  const task = host.tasks.start("qmconfig", String(vmid), caller, (context) => withTaskLock(guest, context, async () => applyUpdate(update, context.print)));
  if (update.backgroundDelay === 0) return task.upid;
  const ended = new AbortController();
  void task.ended.then(() => ended.abort());
  await host.clock.sleep(update.backgroundDelay * 1000, AbortSignal.any([ended.signal, host.stopped]));
  if (task.isRunning) return task.upid;
  if (task.exit === "OK") return null;
  throw Died.because(`failed to update VM ${vmid}: ${task.exit}`);
}

async function putLxcConfig({ host, vmid, caller, values }: Request): Promise<null> {
  const update = prepareLxcUpdate(host, vmid, caller, values);
  const release = await host.needGuest("lxc", vmid).lock.acquire(LOCK_TIMEOUT_MS, host.stopped);
  try {
    applyLxcUpdate(update);
  } finally {
    release();
  }
  return null;
}

async function putCloudinit({ host, vmid }: Request): Promise<null> {
  const release = await host.needGuest("qemu", vmid).lock.acquire(LOCK_TIMEOUT_MS, host.stopped);
  try {
    const guest = host.needGuest("qemu", vmid);
    assertUnlocked(guest);
    regenerateDrive(host, guest);
  } finally {
    release();
  }
  return null;
}

/** PUT /unlink: a deletion of drives, forced if asked. */
function unlink(request: Request): Promise<null> {
  const values = new Map(request.values);
  values.set("delete", values.get("idlist") ?? "");
  values.delete("idlist");
  return putQemuConfig({ ...request, values });
}

function guestRoutes(kind: GuestKind): readonly Route[] {
  const base = `/nodes/{node}/${kind}/{vmid}`;
  const guestOf = ({ host, vmid }: Request) => host.needGuest(kind, vmid);
  return [
    route(`GET /nodes/{node}/${kind}`, true, (request) => listGuests(request, kind)),
    route(`GET ${base}/config`, false, (request) => configOf(request, kind)),
    route(`GET ${base}/pending`, false, (request) => readPending(request.host, guestOf(request))),
    route(`GET ${base}/status/current`, true, (request) => currentStatus(request.host, guestOf(request))),
    route(`GET ${base}/feature`, true, (request) => featureAnswer(request.host, guestOf(request), request.values.get("feature") ?? "")),
    route(`GET ${base}/snapshot`, true, (request) => snapshotList(guestOf(request))),
    route(`POST ${base}/snapshot`, true, (request) => createSnapshot(request, kind)),
    route(`GET ${base}/snapshot/{snapname}`, false, () => subdirs("config", "rollback")),
    route(`DELETE ${base}/snapshot/{snapname}`, true, (request) => deleteSnapshot(request, kind, request.path["snapname"] ?? "")),
    route(`POST ${base}/snapshot/{snapname}/rollback`, true, (request) => rollback(request, kind, request.path["snapname"] ?? "")),
    route(`PUT ${base}/resize`, true, (request) => resize(request, kind)),
  ];
}

const QEMU_SUBDIRS = subdirs(
  ...["config", "cloudinit", "pending", "status", "unlink", "vncproxy", "termproxy", "migrate", "resize", "move", "rrd", "rrddata"],
  ...["monitor", "agent", "snapshot", "spiceproxy", "sendkey", "firewall", "mtunnel", "remote_migrate"],
);
const LXC_SUBDIRS = subdirs(
  ...["config", "pending", "status", "vncproxy", "termproxy", "vncwebsocket", "spiceproxy", "migrate", "clone", "initlog", "rrd", "rrddata"],
  ...["firewall", "snapshot", "resize", "interfaces"],
);

export const ROUTES: readonly Route[] = [
  route("GET /version", false, () => node.version()),
  route("GET /nodes", false, ({ host, caller }) => [node.nodeListRow(host, caller)], {}),
  route("GET /nodes/{node}/status", false, ({ host, caller }) => node.nodeStatus(host, caller), {}),
  route("GET /nodes/{node}/storage", true, ({ host, caller }) => node.storageList(host, caller), { content: TEXT, storage: TEXT, enabled: FLAG, format: FLAG, target: TEXT }),
  route("GET /nodes/{node}/storage/{storage}/content", true, ({ host, caller, path, values }) => node.storageContent(host, caller, path["storage"] ?? "", values), { content: TEXT, vmid: VMID }),
  route("GET /cluster/resources", false, listResources),
  route("GET /cluster/status", true, ({ host }) => node.clusterStatus(host), {}),
  route("GET /cluster/nextid", false, ({ host, values }) => node.nextId(host, values), { vmid: VMID }),
  route("GET /cluster/options", false, ({ host, caller }) => node.clusterOptions(host, caller), {}),
  route("PUT /cluster/options", true, ({ host, caller, values }) => node.setClusterOptions(host, caller, values), CLUSTER_OPTIONS),
  route("GET /cluster/ha/resources", false, ({ host, caller }) => node.haResourceList(host, caller), { type: TEXT }),
  route("GET /cluster/tasks", false, ({ host, caller }) => listClusterTasks(host, caller), {}),
  counted("GET /nodes/{node}/tasks", false, ({ host, caller, values }) => listTasks(host, caller, values)),
  route("GET /nodes/{node}/tasks/{upid}", false, () => [{ name: "log" }, { name: "status" }]),
  route("DELETE /nodes/{node}/tasks/{upid}", true, ({ host, caller, path }) => stopTask(host, caller, path["upid"] ?? "")),
  counted("GET /nodes/{node}/tasks/{upid}/log", true, ({ host, caller, path, values }) => taskLog(host, caller, path["upid"] ?? "", values)),
  route("GET /nodes/{node}/tasks/{upid}/status", true, ({ host, caller, path }) => taskStatus(host, caller, path["upid"] ?? "")),
  ...guestRoutes("qemu"),
  ...guestRoutes("lxc"),
  route("POST /nodes/{node}/qemu", true, ({ host, caller, values }) => createQemu(host, caller, values)),
  route("GET /nodes/{node}/qemu/{vmid}", false, () => QEMU_SUBDIRS),
  route("DELETE /nodes/{node}/qemu/{vmid}", true, destroyQemu),
  route("PUT /nodes/{node}/qemu/{vmid}/config", true, putQemuConfig),
  route("POST /nodes/{node}/qemu/{vmid}/config", true, postQemuConfig),
  { ...route("GET /nodes/{node}/qemu/{vmid}/cloudinit", false, ({ host, vmid }) => readCloudinit(host, host.needGuest("qemu", vmid)), {}), privileges: ["VM.Audit"] },
  { ...route("PUT /nodes/{node}/qemu/{vmid}/cloudinit", true, putCloudinit, {}), privileges: ["VM.Config.Cloudinit"] },
  route("PUT /nodes/{node}/qemu/{vmid}/unlink", true, unlink),
  route("POST /nodes/{node}/qemu/{vmid}/clone", true, cloneQemu),
  route("POST /nodes/{node}/qemu/{vmid}/template", true, makeTemplate),
  route("GET /nodes/{node}/qemu/{vmid}/status", false, () => subdirs("current", "start", "stop", "reset", "shutdown", "suspend", "reboot")),
  route("POST /nodes/{node}/qemu/{vmid}/status/start", true, start),
  route("POST /nodes/{node}/qemu/{vmid}/status/stop", true, stop),
  route("POST /nodes/{node}/qemu/{vmid}/status/shutdown", true, shutdown),
  route("POST /nodes/{node}/qemu/{vmid}/status/reboot", true, reboot),
  route("POST /nodes/{node}/qemu/{vmid}/status/reset", true, reset),
  route("POST /nodes/{node}/qemu/{vmid}/status/suspend", true, suspend),
  route("POST /nodes/{node}/qemu/{vmid}/status/resume", true, resume),
  route("POST /nodes/{node}/lxc", true, ({ host, caller, values }) => createLxc(host, caller, values)),
  route("GET /nodes/{node}/lxc/{vmid}", false, () => LXC_SUBDIRS),
  route("DELETE /nodes/{node}/lxc/{vmid}", true, destroyLxc),
  route("PUT /nodes/{node}/lxc/{vmid}/config", true, putLxcConfig),
  route("GET /nodes/{node}/lxc/{vmid}/status", false, () => subdirs("current", "start", "stop", "shutdown", "reboot", "migrate")),
  route("POST /nodes/{node}/lxc/{vmid}/status/start", true, startLxc),
  route("POST /nodes/{node}/lxc/{vmid}/status/stop", true, stopLxc),
  route("POST /nodes/{node}/lxc/{vmid}/status/shutdown", true, shutdownLxc),
  route("POST /nodes/{node}/lxc/{vmid}/status/reboot", true, rebootLxc),
  route("POST /nodes/{node}/lxc/{vmid}/status/suspend", true, suspendLxc),
  route("POST /nodes/{node}/lxc/{vmid}/status/resume", true, resumeLxc),
];
