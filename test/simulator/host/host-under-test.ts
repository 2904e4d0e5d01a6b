import type { ApiAnswer, ApiMethod, Caller, Parameters } from "../../../src/simulator/api.ts";
import type { HostTraits } from "../../../src/simulator/host/host.ts";
import { createNode, type Node } from "../../../src/simulator/host/node.ts";
import { FakeClock } from "../../support/fake-clock.ts";

/** A small host with a clock in hand, and a caller who may do everything a token may. */

export const QEMU_101 = "cores: 1\nmemory: 64\nname: tiny\nostype: other\nsmbios1: uuid=aaaaaaaa-0000-4000-8000-000000000101\n";
export const QEMU_102 =
  "boot: order=scsi0;net0\ncores: 2\nmemory: 256\nname: db\nnet0: e1000=BC:24:11:00:01:02,bridge=vmbr0,firewall=1\nostype: l26\nscsi0: local:102/vm-102-disk-0.qcow2,iothread=1,size=16M\n";
export const LXC_200 =
  "#A container\narch: amd64\nhostname: ct200\nmemory: 128\nnet0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:00,ip=dhcp,type=veth\nostype: debian\nrootfs: local:200/vm-200-disk-0.raw,size=64M\nswap: 64\n";

const STORAGES = "dir: local\n\tpath /var/lib/vz\n\tcontent images,iso,vztmpl,backup,rootdir,snippets,import\n\nlvmthin: local-lvm\n\tvgname pve\n\tcontent images,rootdir\n\n";
const TIME_STEP_MS = 50;
const PATIENCE_MS = 200_000;

const TOKEN: Caller = { user: "root@pam", tokenId: "agent", isRootLogin: false, can: () => true };
export const ROOT: Caller = { user: "root@pam", tokenId: undefined, isRootLogin: true, can: () => true };

/** A caller with these privileges ("VM.Audit"), on every path or on those that begin with `path`. */
export function callerWith(privileges: readonly string[], path = "/"): Caller {
  return { user: "agent@pve", tokenId: "tok", isRootLogin: false, can: (at, privilege) => at.startsWith(path) && privileges.includes(privilege) };
}

export class HostUnderTest {
  readonly clock = new FakeClock();
  readonly node: Node;

  constructor(guests: Readonly<Record<string, string>> = { "qemu-server/101": QEMU_101, "qemu-server/102": QEMU_102, "lxc/200": LXC_200 }, options: { seed?: number; traits?: Partial<HostTraits>; files?: Readonly<Record<string, string>> } = {}) {
    let state = (options.seed ?? 1) + 1;
    const draw = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const random = { fraction: draw, bytes: (size: number) => Uint8Array.from({ length: size }, () => Math.floor(draw() * 256)) };
    const configs = Object.entries(guests).map(([place, text]) => [`/etc/pve/nodes/pve1/${place}.conf`, text]);
    const files = { "/etc/pve/storage.cfg": STORAGES, "/etc/pve/datacenter.cfg": "keyboard: en-us\n", ...Object.fromEntries(configs), ...options.files };
    this.node = createNode({ name: "pve1", clock: this.clock, random, startState: { files }, fingerprint: "AA:BB", ...(options.traits === undefined ? {} : { traits: options.traits }) });
  }

  /** Sends a request without letting time pass. */
  begin(method: ApiMethod, path: string, parameters: Parameters = {}, caller = TOKEN): Promise<ApiAnswer> {
    const full = path.startsWith("/") ? path : `/nodes/pve1/${path}`;
    return this.node.handle({ method, path: full, segments: full.split("/").filter((part) => part !== ""), parameters, caller });
  }

  /** Sends a request and lets as much time pass as its answer takes. */
  async send(method: ApiMethod, path: string, parameters: Parameters = {}, caller = TOKEN): Promise<ApiAnswer> {
    return this.until(this.begin(method, path, parameters, caller));
  }

  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    for (let passedMs = 0; passedMs < PATIENCE_MS; passedMs += TIME_STEP_MS) {
      await this.clock.advance(0);
      if (isSettled) break;
      await this.clock.advance(TIME_STEP_MS);
    }
    return promise;
  }

  async get(path: string, parameters: Parameters = {}, caller = TOKEN): Promise<unknown> {
    const answer = await this.send("GET", path, parameters, caller);
    if (!("data" in answer)) throw new Error(`GET ${path}: ${answer.status} ${answer.reason}`);
    return answer.data;
  }

  /** "200" or "500 reason". */
  async outcome(method: ApiMethod, path: string, parameters: Parameters = {}, caller = TOKEN): Promise<string> {
    const answer = await this.send(method, path, parameters, caller);
    if ("data" in answer) return String(answer.status);
    return answer.errors === undefined ? `${answer.status} ${answer.reason}` : `${answer.status} ${JSON.stringify(answer.errors)}`;
  }

  async config(guest: string, parameters: Parameters = {}): Promise<Record<string, unknown>> {
    return (await this.get(`${guest}/config`, parameters)) as Record<string, unknown>;
  }

  async digest(guest: string): Promise<string> {
    return String((await this.config(guest))["digest"]);
  }

  /** Sends what makes a task and gives its UPID. */
  async fork(path: string, parameters: Parameters = {}, method: ApiMethod = "POST"): Promise<string> {
    const answer = await this.send(method, path, parameters);
    if (!("data" in answer) || typeof answer.data !== "string") throw new Error(`${path}: ${JSON.stringify(answer)}`);
    return answer.data;
  }

  /** Waits for a task's end and gives its exit text. */
  async exitOf(upid: string): Promise<string> {
    for (let passedMs = 0; passedMs < PATIENCE_MS; passedMs += TIME_STEP_MS) {
      const status = (await this.get(`tasks/${upid}/status`, {}, ROOT)) as { status: string; exitstatus?: string };
      if (status.status === "stopped") return status.exitstatus ?? "";
      await this.clock.advance(TIME_STEP_MS);
    }
    throw new Error(`${upid} does not end`);
  }

  async run(path: string, parameters: Parameters = {}, method: ApiMethod = "POST"): Promise<string> {
    return this.exitOf(await this.fork(path, parameters, method));
  }

  async log(upid: string): Promise<string[]> {
    const rows = (await this.get(`tasks/${upid}/log`, { limit: "0" }, ROOT)) as { t: string }[];
    return rows.map((row) => row.t);
  }

  async pending(guest: string, key: string): Promise<Record<string, unknown> | undefined> {
    const rows = (await this.get(`${guest}/pending`)) as Record<string, unknown>[];
    return rows.find((row) => row["key"] === key);
  }
}
