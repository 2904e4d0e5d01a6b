import { ok, fail } from "../../src/ports/errors.ts";
import { encodeParameters } from "../../src/proxmox/encode.ts";
import { describeRequest, type ApiRequest, type Exchange, type Exchanged } from "../../src/proxmox/exchange.ts";
import { noAnswerFault, unreachableFault } from "../../src/proxmox/faults.ts";
import type { ApiAnswer, ApiCall, Caller, Parameters } from "../../src/simulator/api.ts";
import type { Node } from "../../src/simulator/host/node.ts";
import { formatAnswer } from "../../src/simulator/http/answer-format.ts";
import { decodeForm } from "../../src/simulator/http/parameters.ts";
import { SimulatedClock, type SimulatedTime } from "./simulated-time.ts";

/**
 * The way between an agent and a simulated node without sockets: a request travels, is decoded as the
 * wire's would be, is answered by the node, and the answer travels back; each may be lost, late, or
 * another one. What has left goes on when its sender dies.
 */

/** What becomes of one request. */
export type Fate =
  /** Arrives after `requestMs`, its answer `answerMs` after it was given. */
  | { readonly kind: "answered"; readonly requestMs: number; readonly answerMs: number }
  /** Nobody listens: nothing was sent. */
  | { readonly kind: "refused"; readonly requestMs: number }
  /** The connection ends: before the request was read, or after it was carried out. */
  | { readonly kind: "drop_before" | "drop_after"; readonly requestMs: number; readonly answerMs: number }
  /** No answer ever comes; carried out after `appliedMs`, sender or no sender. */
  | { readonly kind: "late"; readonly appliedMs: number }
  /** No answer ever comes, and nothing is done. */
  | { readonly kind: "hang" }
  /** Answered by somebody before the node; nothing is done. */
  | { readonly kind: "error"; readonly requestMs: number; readonly status: number; readonly reason: string };

/** A request that was sent, and what became of it. */
export interface Sent {
  readonly atMs: number;
  /** Which life of the agent sent it, counted from 1. */
  readonly life: number;
  readonly method: ApiRequest["method"];
  /** Below /api2/json. */
  readonly path: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** Of the guest that the path names. */
  readonly vmid: number | undefined;
  readonly fate: Fate["kind"];
  /** "travelling" until the node has dealt with it; "void" when it never will. */
  state: "travelling" | "carried_out" | "void";
  /** Of the node's answer, once there is one. */
  status?: number;
}

/** The agent's token: what a token of root without privilege separation can do. */
const CALLER: Caller = { user: "root@pam", tokenId: "agent", isRootLogin: false, can: () => true };
/** As UPIDs name it. */
export const TOKEN_USER = "root@pam!agent";

const USUAL: Fate = { kind: "answered", requestMs: 1, answerMs: 1 };

/** A guest on another node of the cluster. */
export interface ForeignGuest {
  readonly node: string;
  readonly kind: "qemu" | "lxc";
}

export interface NetworkOptions {
  readonly time: SimulatedTime;
  readonly node: Node;
  readonly elsewhere: ReadonlyMap<number, ForeignGuest>;
}

export interface NetworkObserver {
  /** A request is about to travel. */
  sent?(sent: Sent): void;
  /** The node has answered one, whoever still hears it. */
  carriedOut?(sent: Sent, answer: ApiAnswer): void;
  /** An answer reached the agent that asked; status 0: it has given up. */
  heard?(sent: Sent, status: number): void;
}

export class SimulatedNetwork {
  /** Decides what becomes of a request. */
  fateOf: (request: ApiRequest) => Fate = () => USUAL;
  readonly #observers: NetworkObserver[] = [];
  readonly #options: NetworkOptions;
  /** Of the network itself and the node: never stops. */
  readonly #clock: SimulatedClock;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#clock = new SimulatedClock(options.time);
  }

  observe(observer: NetworkObserver): void {
    this.#observers.push(observer);
  }

  /** The exchange of one life of the agent; after `isAlive` is false nothing is sent and no answer arrives. */
  exchangeOf(life: number, isAlive: () => boolean): Exchange {
    return (request, { signal }) => {
      if (!isAlive()) return new Promise(() => {});
      const fate = this.fateOf(request);
      const sent = this.#note(request, life, fate.kind);
      return new Promise((resolve) => {
        let isOver = false;
        const finish = (result: Exchanged): void => {
          if (isOver || !isAlive()) return;
          isOver = true;
          signal.removeEventListener("abort", giveUp);
          for (const observer of this.#observers) observer.heard?.(sent, result.ok ? result.value.status : 0);
          resolve(result);
        };
        const giveUp = (): void => finish(fail(noAnswerFault(`${describeRequest(request)}: sent, no complete answer in time; its outcome is unknown`)));
        signal.addEventListener("abort", giveUp, { once: true });
        if (signal.aborted) return giveUp();
        this.#travel(request, sent, fate, finish);
      });
    };
  }

  #note(request: ApiRequest, life: number, fate: Fate["kind"]): Sent {
    const { method, path, parameters = {} } = request;
    const vmid = /^\/nodes\/[^/]+\/(?:qemu|lxc)\/(\d+)\//.exec(path)?.[1];
    const sent: Sent = {
      atMs: this.#options.time.elapsedMs(), life, method, path, parameters, fate,
      vmid: vmid === undefined ? undefined : Number(vmid), state: "travelling",
    };
    for (const observer of this.#observers) observer.sent?.(sent);
    return sent;
  }

  #travel(request: ApiRequest, sent: Sent, fate: Fate, finish: (result: Exchanged) => void): void {
    const where = describeRequest(request);
    switch (fate.kind) {
      case "answered":
        return this.#after(fate.requestMs, () => this.#carryOut(request, sent, (answer) => this.#after(fate.answerMs, () => finish(this.#wire(answer)))));
      case "drop_after":
        return this.#after(fate.requestMs, () => this.#carryOut(request, sent, () => this.#after(fate.answerMs, () => finish(fail(lost(where))))));
      case "late":
        return this.#after(fate.appliedMs, () => this.#carryOut(request, sent, () => {}));
      case "hang":
        sent.state = "void";
        return;
      case "drop_before":
      case "refused":
        sent.state = "void";
        return this.#after(fate.requestMs, () => finish(fail(fate.kind === "refused" ? unreachableFault(`${where}: connection refused; nothing was sent`) : lost(where))));
      case "error":
        sent.state = "void";
        return this.#after(fate.requestMs, () => finish(this.#wire({ status: fate.status, reason: fate.reason, hasBody: false, isProxied: false })));
    }
  }

  #carryOut(request: ApiRequest, sent: Sent, answered: (answer: ApiAnswer) => void): void {
    void this.#options.node.handle(this.#callOf(request)).then((answer) => {
      sent.state = "carried_out";
      sent.status = answer.status;
      for (const observer of this.#observers) observer.carriedOut?.(sent, answer);
      answered(this.#withElsewhere(request, answer));
    });
  }

  #callOf({ method, path, parameters = {} }: ApiRequest): ApiCall {
    const decoded: Parameters = decodeForm(encodeParameters(parameters));
    const segments = path.split("/").filter((part) => part !== "").map(decodeURIComponent);
    return { method, segments, path, parameters: decoded, caller: CALLER };
  }

  /** The simulated node knows of itself alone: guests of other nodes are added to the cluster's list. */
  #withElsewhere({ path }: ApiRequest, answer: ApiAnswer): ApiAnswer {
    if (path !== "/cluster/resources" || !("data" in answer) || !Array.isArray(answer.data)) return answer;
    const rows = [...this.#options.elsewhere].map(([vmid, { node, kind }]) => ({ id: `${kind}/${vmid}`, type: kind, vmid, node, status: "running" }));
    return { ...answer, data: [...answer.data, ...rows] };
  }

  /** The answer as its bytes come. */
  #wire(answer: ApiAnswer): Exchanged {
    const { status, reason, body = "" } = formatAnswer(answer, "json");
    return ok({ status, reason: reason.split("\n")[0] ?? "", body, date: new Date(this.#clock.now()).toUTCString() });
  }

  #after(delayMs: number, callback: () => void): void {
    this.#clock.schedule(delayMs, callback);
  }
}

function lost(where: string) {
  return noAnswerFault(`${where}: sent, and the connection ended without an answer (socket hang up)`);
}
