/**
 * proxmox/ is the only room that talks to Proxmox: the API client (this file), waiting for tasks, reading one
 * guest, and watching the host's files. It promises that nothing is sent before the certificate is trusted, that a
 * mutation is sent at most once and its fault says whether it may have happened, that every wait is bounded, and
 * that text from Proxmox is made printable. What to do with a fault, and whether an act may happen, is for others.
 */
import * as v from "valibot";
import type { GuestKey, GuestKind } from "../guest/key.ts";
import { parsePveVersion, type PveVersion, type TagStyle } from "../guest/host-facts.ts";
import type { DriveChange, GuestConfig } from "../guest/observed.ts";
import type { Clock } from "../ports/clock.ts";
import { fail, ok, type Result } from "../ports/errors.ts";
import type { FileSystem } from "../ports/file-system.ts";
import type { Log } from "../ports/log.ts";
import type {
  ClusterNode, Delivery, GuestListEntry, GuestStatus, HaResource, LocatedGuest, MutatingRequest, MutationAnswer, ProxmoxApi, ProxmoxFault, ProxmoxInspection, ProxmoxResult,
  TaskQuery, TaskRecord, TaskState, Upid,
} from "../ports/proxmox-api.ts";
import type { Random } from "../ports/random.ts";
import { classifyAnswer, isSuccess } from "./classify.ts";
import { driveChanges, DriveMemory } from "./cloud-init-drive.ts";
import { decodeList, guestStatus, taskRecord, unreadableEntry, type DecodedList } from "./decode.ts";
import { guestPath, nodePath, type Parameters } from "./encode.ts";
import { describeRequest, type ApiRequest, type Exchange } from "./exchange.ts";
import { cleanText, unexpectedAnswerFault } from "./faults.ts";
import { buildGuestConfig } from "./guest-config.ts";
import { haResourceOf } from "./host-formats.ts";
import { mutation } from "./mutation.ts";
import {
  cloudInitSchema, clusterGuestsSchema, clusterOptionsSchema, clusterStatusSchema, guestListSchema, guestStatusSchema, haResourcesSchema, mutationSchema,
  nodeListSchema, pendingSchema, permissionsSchema, taskListSchema, taskLogSchema, taskStatusSchema, versionSchema,
} from "./schemas.ts";
import { tagStyleOfOptions } from "./tag-style.ts";
import { judgeExit } from "./tasks.ts";
import { Transport, type RequestMeasure } from "./transport.ts";
import { TrustSource, type TlsTrust } from "./trust.ts";
import { parseUpid } from "./upid.ts";

/** Port of an https URL that names none. */
const HTTPS_PORT = 443;

export interface ProxmoxClientOptions {
  /** Origin of the API, e.g. https://127.0.0.1:8006. */
  readonly url: string;
  readonly node: string;
  readonly tls: TlsTrust;
  /** Where tls "auto" finds the certificates. */
  readonly pveDir: string;
  readonly files: Pick<FileSystem, "readFile">;
  /** The token as user@realm!name=uuid. Called at first need and after a 401. */
  readonly readToken: () => Result<string> | Promise<Result<string>>;
  readonly requestTimeoutMs: number;
  readonly maxConcurrentRequests: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Called once for every HTTP request, retries included. */
  readonly onRequest?: (measure: RequestMeasure) => void;
  /** The agent's own version, for the User-Agent header. */
  readonly version: string;
  /** How a request gets there and its answer back: over HTTPS when left out; a simulation has no network. */
  readonly exchange?: Exchange;
}

/** A client for one node's API. Throws only for a URL that is not https (the config checks it). */
export function createProxmoxClient(options: ProxmoxClientOptions): ProxmoxApi & ProxmoxInspection {
  const url = new URL(options.url);
  if (url.protocol !== "https:") throw new Error(`proxmox.url must be https, found ${url.protocol}`);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const trust = new TrustSource({ ...options, host });
  const endpoint = { host, port: Number(url.port || HTTPS_PORT) };
  const transport = new Transport({ ...options, endpoint, trust, userAgent: `steward/${options.version}` });
  return new ProxmoxClient(transport, options.node);
}

type Schema = v.BaseSchema<unknown, unknown, v.BaseIssue<unknown>>;

class ProxmoxClient implements ProxmoxApi, ProxmoxInspection {
  readonly #transport: Transport;
  readonly #node: string;
  readonly #drives = new DriveMemory();

  constructor(transport: Transport, node: string) {
    this.#transport = transport;
    this.#node = node;
  }

  async version(): Promise<ProxmoxResult<PveVersion>> {
    const path = "/version";
    const read = await this.#get(path, versionSchema);
    if (!read.ok) return read;
    const version = parsePveVersion(read.value.version);
    return version === undefined ? fail(unexpected(`GET ${path}`, `a version like 9.2.11, found ${read.value.version}`)) : ok(version);
  }

  async listGuests(kind: GuestKind): Promise<ProxmoxResult<readonly GuestListEntry[]>> {
    const read = await this.#get(nodePath(this.#node, kind), guestListSchema);
    if (!read.ok) return read;
    const list = decodeList(kind, read.value);
    return list.namelessCount === 0 ? ok(list.entries) : this.#withNameless(kind, list);
  }

  /**
   * Rows that do not say whose they are must be of guests that the cluster has here and the list does not name:
   * each of those is there and unreadable, never missing. Where they are too few the list says nothing certain.
   */
  async #withNameless(kind: GuestKind, { entries, namelessCount, problem }: DecodedList): Promise<ProxmoxResult<readonly GuestListEntry[]>> {
    const where = `GET ${nodePath(this.#node, kind)}`;
    const named = new Set(entries.map(({ vmid }) => vmid));
    const located = await this.locateGuests();
    const others = located.ok ? located.value.filter((guest) => guest.kind === kind && guest.node === this.#node && !named.has(guest.vmid)) : [];
    if (others.length < namelessCount) return fail(this.#transport.redacted(unexpected(where, `${problem}; /cluster/resources does not say whose row it is`)));
    return ok([...entries, ...others.map(({ vmid }) => unreadableEntry(kind, vmid, cleanText(`${where}: expected ${problem}`)))]);
  }

  async readConfig(guest: GuestKey): Promise<ProxmoxResult<GuestConfig>> {
    const path = guestPath(this.#node, guest, "pending");
    const read = await this.#get(path, pendingSchema);
    if (!read.ok) return read;
    const config = buildGuestConfig(read.value);
    return config === undefined ? fail(unexpected(`GET ${path}`, "a row with the digest, found none")) : ok(config);
  }

  async readCloudInitDrive(guest: GuestKey, digest: string): Promise<ProxmoxResult<readonly DriveChange[]>> {
    const known = this.#drives.recall(guest, digest);
    if (known !== undefined) return ok(known);
    const read = await this.#get(guestPath(this.#node, guest, "cloudinit"), cloudInitSchema);
    if (!read.ok) return read;
    const changes = driveChanges(read.value);
    this.#drives.remember(guest, digest, changes);
    return ok(changes);
  }

  async readStatus(guest: GuestKey): Promise<ProxmoxResult<GuestStatus>> {
    const read = await this.#get(guestPath(this.#node, guest, "status", "current"), guestStatusSchema);
    return read.ok ? ok(guestStatus(read.value)) : read;
  }

  async listTasks(query: TaskQuery): Promise<ProxmoxResult<readonly TaskRecord[]>> {
    const vmid = query.vmid === undefined ? {} : { vmid: String(query.vmid) };
    const parameters = { source: query.source, limit: String(query.limit), ...vmid };
    const read = await this.#get(nodePath(this.#node, "tasks"), taskListSchema, parameters);
    return read.ok ? ok(read.value.map(taskRecord)) : read;
  }

  async taskState(upid: Upid): Promise<ProxmoxResult<TaskState>> {
    const read = await this.#get(this.#taskPath(upid, "status"), taskStatusSchema);
    if (!read.ok) return read;
    return ok(read.value.status === "running" ? { isRunning: true } : judgeExit(cleanText(read.value.exitstatus ?? "")));
  }

  async taskLogTail(upid: Upid, lines: number): Promise<ProxmoxResult<readonly string[]>> {
    const path = this.#taskPath(upid, "log");
    // A limit of 0 would mean "all of it" to Proxmox.
    const limit = Math.max(1, lines);
    // The log is read from a line on, its length is in the answer: most are short enough for one request.
    const first = await this.#getLog(path, 0, limit);
    if (!first.ok || first.value.total <= limit) return first.ok ? ok(first.value.lines) : first;
    const last = await this.#getLog(path, first.value.total - limit, limit);
    return last.ok ? ok(last.value.lines) : last;
  }

  async tagStyle(): Promise<ProxmoxResult<TagStyle | null>> {
    const read = await this.#get("/cluster/options", clusterOptionsSchema);
    return read.ok ? ok(tagStyleOfOptions(read.value)) : read;
  }

  async haResources(): Promise<ProxmoxResult<readonly HaResource[] | null>> {
    const read = await this.#get("/cluster/ha/resources", haResourcesSchema);
    if (!read.ok) return read.error.code === "proxmox.forbidden" ? ok(null) : read;
    return ok(read.value.map(({ sid, state }) => haResourceOf(sid, state ?? undefined)).filter((resource) => resource !== undefined));
  }

  async locateGuests(): Promise<ProxmoxResult<readonly LocatedGuest[]>> {
    const read = await this.#get("/cluster/resources", clusterGuestsSchema, { type: "vm" });
    if (!read.ok) return read;
    return ok(read.value.flatMap(({ type, vmid, node }) => (type === "qemu" || type === "lxc" ? [{ kind: type, vmid, node }] : [])));
  }

  async hasQuorum(): Promise<ProxmoxResult<boolean | null>> {
    const read = await this.#get("/cluster/status", clusterStatusSchema);
    if (!read.ok) return read.error.code === "proxmox.forbidden" ? ok(null) : read;
    const cluster = read.value.find((row) => row.type === "cluster");
    // A single node has no cluster row and decides alone.
    return ok(cluster === undefined || cluster.quorate === true);
  }

  async permissions(path: string): Promise<ProxmoxResult<ReadonlySet<string>>> {
    const read = await this.#get("/access/permissions", permissionsSchema, { path });
    return read.ok ? ok(new Set(Object.keys(read.value[path] ?? {}))) : read;
  }

  async nodes(): Promise<ProxmoxResult<readonly ClusterNode[]>> {
    const read = await this.#get("/nodes", nodeListSchema);
    return read.ok ? ok(read.value.map(({ node, status }) => ({ name: cleanText(node), isOnline: status === "online" }))) : read;
  }

  async serverTime(): Promise<ProxmoxResult<number | null>> {
    const request: ApiRequest = { method: "GET", path: "/version" };
    const sent = await this.#transport.send(request);
    if (!sent.ok) return sent;
    if (!isSuccess(sent.value.status)) return fail(this.#transport.redacted(classifyAnswer(sent.value, describeRequest(request))));
    const toldMs = Date.parse(sent.value.date ?? "");
    return ok(Number.isNaN(toldMs) ? null : toldMs);
  }

  async mutate(request: MutatingRequest): Promise<ProxmoxResult<MutationAnswer>> {
    const answer = await this.#request(mutation(this.#node, request), mutationSchema, "unknown");
    return answer.ok ? ok({ upid: answer.value.data }) : answer;
  }

  close(): void {
    this.#transport.close();
  }

  /** A task is asked for on the node that runs it, which its UPID names. */
  #taskPath(upid: Upid, part: string): string {
    return nodePath(parseUpid(upid)?.node ?? this.#node, "tasks", upid, part);
  }

  async #getLog(path: string, start: number, limit: number): Promise<ProxmoxResult<{ total: number; lines: readonly string[] }>> {
    const read = await this.#request({ method: "GET", path, parameters: { start: String(start), limit: String(limit) } }, taskLogSchema, "answered");
    if (!read.ok) return read;
    const lines = read.value.data.map((line) => cleanText(line.t ?? ""));
    return ok({ total: Number(read.value.total ?? lines.length), lines: lines.slice(-limit) });
  }

  async #get<S extends Schema>(path: string, schema: S, parameters?: Parameters): Promise<ProxmoxResult<v.InferOutput<S>>> {
    const read = await this.#request({ method: "GET", path, ...(parameters === undefined ? {} : { parameters }) }, schema, "answered");
    return read.ok ? ok(read.value.data) : read;
  }

  /** `ifUnreadable`: what an answer of 200 that cannot be read says about delivery. For a mutation it may hold a UPID. */
  async #request<S extends Schema>(request: ApiRequest, schema: S, ifUnreadable: Delivery): Promise<ProxmoxResult<Envelope<v.InferOutput<S>>>> {
    const where = describeRequest(request);
    const refuse = (fault: ProxmoxFault) => fail(this.#transport.redacted(fault));
    const sent = await this.#transport.send(request);
    if (!sent.ok) return refuse(sent.error);
    const { status, body } = sent.value;
    if (!isSuccess(status)) return refuse(classifyAnswer(sent.value, where));
    const envelope = readEnvelope(body);
    if (envelope === undefined) return refuse(unexpected(where, `a JSON object with "data", found ${describeBody(body)}`, ifUnreadable, status));
    const data = v.safeParse(schema, envelope["data"]);
    if (data.success) return ok({ data: data.output, total: envelope["total"] });
    const [issue] = data.issues;
    return refuse(unexpected(where, `at data${dotted(issue)}: ${issue.message}`, ifUnreadable, status));
  }
}

interface Envelope<T> {
  readonly data: T;
  readonly total: unknown;
}

function readEnvelope(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null && "data" in value ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** Enough of a stray answer to recognise a login page or a proxy's error. */
const BODY_EXCERPT_CHARACTERS = 80;

function describeBody(body: string): string {
  return body === "" ? "nothing" : `"${cleanText(body.slice(0, BODY_EXCERPT_CHARACTERS))}"`;
}

function dotted(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  return path === null ? "" : `.${path}`;
}

function unexpected(where: string, found: string, delivery: Delivery = "answered", status?: number) {
  return unexpectedAnswerFault(cleanText(`${where}: expected ${found}`), delivery, status);
}
