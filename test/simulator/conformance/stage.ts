import type { ApiAnswer, ApiCall, ApiMethod, Caller, Parameters } from "../../../src/simulator/api.ts";
import { createAccessControl } from "../../../src/simulator/access/access.ts";
import { createNode, type Node } from "../../../src/simulator/host/node.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { readStartState } from "./recording.ts";

/** A simulated host in the recorded host's place, and the hands that operated it. */

const RECORDED_AT_MS = Date.UTC(2026, 10, 21, 0, 40);
const TIME_STEP_MS = 100;
const PATIENCE_MS = 180_000;
const SECRET = "00000000-0000-4000-8000-000000000000";

export class Stage {
  readonly clock = new FakeClock(RECORDED_AT_MS);
  /** Who calls from here on: "root@pam!agent". */
  caller: Caller = this.#callerOf("root@pam!agent");
  /** Time between two requests. */
  gapMs = 300;
  /** Hardware addresses to come, so that digests can be the recorded ones. */
  readonly addresses: string[] = [];
  node: Node = this.#makeNode();

  /** A host as it was at the beginning of each recording. */
  newHost(): void {
    this.node.stop();
    this.node = this.#makeNode();
  }

  as(name: string): void {
    this.caller = this.#callerOf(name);
  }

  readonly rootLogin: Caller = { user: "root@pam", tokenId: undefined, isRootLogin: true, can: () => true };

  #callerOf(name: string): Caller {
    const users = readStartState().files["/etc/pve/user.cfg"] ?? "";
    const tokens = [...users.matchAll(/^token:([^:]+):/gm)].map((match) => `${match[1]} ${SECRET}\n`).join("");
    const answer = createAccessControl(users, tokens).authenticate(`PVEAPIToken=${name}=${SECRET}`, RECORDED_AT_MS);
    if (!answer.ok) throw new Error(`no such caller: ${name}`);
    return answer.caller;
  }

  #makeNode(): Node {
    let state = 1;
    const draw = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const random = {
      fraction: draw,
      bytes: (size: number): Uint8Array => {
        const address = size === 6 ? this.addresses.shift() : undefined;
        const parts = address?.split(":").slice(3).map((hex) => Number.parseInt(hex, 16)) ?? [];
        return Uint8Array.from({ length: size }, (_, index) => parts[index] ?? Math.floor(draw() * 256));
      },
    };
    const traits = { cpuCount: 2, memoryBytes: 25_276_502_016, hasContainerCgroups: false };
    const fingerprint = "C4:3A:93:F4:D9:36:1C:2F:5B:01:FD:32:4A:EB:04:83:4A:D8:3F:F8:70:AE:29:7E:92:FB:C0:96:B8:89:26:76";
    return createNode({ name: "pve1", clock: this.clock, random, startState: readStartState(), fingerprint, traits });
  }

  /** Puts a guest's file back to what it was at the beginning, with `more` at its end. */
  reset(vmid: number, more = ""): void {
    const { files } = readStartState();
    const text = Object.entries(files).find(([path]) => path.endsWith(`/${vmid}.conf`))?.[1] ?? "";
    this.node.putConfigFile(vmid, text + more);
  }

  async wait(durationMs: number): Promise<void> {
    await this.clock.advance(durationMs);
  }

  /** Sends a request and lets time pass until it is answered. */
  async send(method: ApiMethod, path: string, parameters: Parameters = {}, caller = this.caller): Promise<ApiAnswer> {
    const segments = path.split("/").filter((part) => part !== "").map(decodeURIComponent);
    const call: ApiCall = { method, path, segments, parameters, caller };
    return this.until(this.node.handle(call));
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

  /** Sends a request that makes a task and gives its UPID. */
  async fork(path: string, parameters: Parameters = {}): Promise<string> {
    const answer = await this.send("POST", `/nodes/pve1/${path}`, parameters);
    if (answer.status !== 200 || !("data" in answer)) throw new Error(`${path}: ${JSON.stringify(answer)}`);
    return String(answer.data);
  }

  /** Lets time pass until the task has ended. */
  async ended(upid: string): Promise<string> {
    for (let passedMs = 0; passedMs < PATIENCE_MS; passedMs += TIME_STEP_MS) {
      const answer = await this.send("GET", `/nodes/pve1/tasks/${upid}/status`, {}, this.rootLogin);
      const { status, exitstatus } = ("data" in answer ? answer.data : {}) as { status?: string; exitstatus?: string };
      if (status !== "running") return exitstatus ?? "";
      await this.clock.advance(TIME_STEP_MS);
    }
    throw new Error(`${upid} does not end`);
  }

  async run(path: string, parameters: Parameters = {}): Promise<void> {
    await this.ended(await this.fork(path, parameters));
  }
}
