import { admit } from "../gate/admit.ts";
import type { ApprovedAction } from "../gate/types.ts";
import { isOtherIdentity } from "../guest/identity.ts";
import { formatGuestKey, type GuestKey } from "../guest/key.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import { normalizerFor } from "../normalize/registry.ts";
import type { NormalForm, NormalizeContext } from "../normalize/types.ts";
import type { FieldChange } from "../plan/types.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import type { Upid } from "../ports/proxmox-api.ts";
import { act, type ActResult } from "./act.ts";
import type { GuestJobContext } from "./guest-job.ts";
import type { HostFacts, HostSnapshot } from "./host-snapshot.ts";
import { observeGuest, refine } from "./observe.ts";
import { forgetMark, markOf, putMark, type SelftestMark } from "./selftest-mark.ts";
import { bareDeclaration, settleOperation } from "./settle.ts";

/**
 * A round trip on a live guest, in its lane: write a description, wait for the task, read it back,
 * compare in normal form, put the old one back. Everything goes the way of every act (gate, journal,
 * execute.ts). What is to be put back is durable before anything is sent, and putting it back is one
 * function, whoever has been interrupted.
 */

const KEY = "description";

/** Longest description Proxmox takes, in characters; a longer original is replaced, not added to. */
const DESCRIPTION_LENGTH_MAX = 8192;

/** Looks, with a write each where one is needed, before putting back is left to the next run; half a minute of refusals. */
export const RESTORE_ROUNDS_MAX = 30;
const RETRY_MS = 1_000;

/** For what an earlier process left the running agent writes once, looks once, and comes again with the next resync. */
const LEFTOVER_ROUNDS_MAX = 2;

/** Added to the settle window when open acts of earlier are waited for: their end must be looked at, too. */
const SELFTEST_SETTLE_MARGIN_MS = 30_000;

/** What a selftest needs besides what every job does. */
export interface SelftestContext extends GuestJobContext {
  /** Aborted when the person, or the agent, wants to end: the description is put back at once. */
  readonly hurry: AbortSignal;
  /** How long an act without an answer may still happen, milliseconds (SettleWindows). */
  readonly settleWindowMs: number;
  /** Tells this test from others in the description. */
  readonly nonce: string;
}

/** The shape of `agent selftest task -o json`, an interface. */
export interface SelftestReport {
  readonly version: 1;
  readonly kind: string;
  readonly vmid: number;
  readonly name: string;
  readonly isPassed: boolean;
  /** Is the guest's description as it was before? */
  readonly isRestored: boolean;
  readonly steps: readonly SelftestStep[];
}

export interface SelftestStep {
  readonly step: string;
  readonly isOk: boolean;
  readonly milliseconds: number;
  readonly detail: string;
}

type Restoration = { readonly isRestored: boolean; readonly detail: string };

/** Runs the test. Faults: refused before anything was sent. A test that fails is a report. */
export async function runSelftest(context: SelftestContext, vmid: number): Promise<Result<SelftestReport>> {
  const snapshot = await context.freshSnapshot();
  if ("code" in snapshot) return { ok: false, error: snapshot };
  const listed = snapshot.guests.get(vmid);
  if (listed === undefined) return fault("proxmox.guest_missing", `expected guest ${vmid} on node ${context.facts().node}, found none there; nothing was sent`);
  return new Selftest(context, { kind: listed.kind, vmid }).run();
}

/** Puts back what a selftest of an earlier process left; undefined when there is nothing (left) to do. */
export async function restoreLeftover(context: SelftestContext, vmid: number): Promise<Restoration | undefined> {
  const mark = markOf(context.journal, vmid);
  return mark === undefined ? undefined : new Selftest(context, mark, 0).restore(mark, LEFTOVER_ROUNDS_MAX);
}

class Selftest {
  readonly #context: SelftestContext;
  readonly #guest: GuestKey;
  readonly #settleTimeoutMs: number;
  readonly #steps: SelftestStep[] = [];
  #upid: Upid | undefined;

  constructor(context: SelftestContext, { kind, vmid }: GuestKey, settleTimeoutMs = context.settleWindowMs + SELFTEST_SETTLE_MARGIN_MS) {
    this.#settleTimeoutMs = settleTimeoutMs;
    this.#context = { ...context, onUpid: (upid) => this.#noteTask(upid, context.onUpid) };
    this.#guest = { kind, vmid };
  }

  async run(): Promise<Result<SelftestReport>> {
    const leftover = markOf(this.#context.journal, this.#guest.vmid);
    if (leftover !== undefined) {
      const restored = await this.#timed("restore what an interrupted selftest left", () => this.restore(leftover), ({ isRestored }) => isRestored);
      if (!restored.isRestored) return fault("control.refused", `${formatGuestKey(this.#guest)}: ${restored.detail}; no new test is begun before that`);
    }
    const settled = await this.#settle();
    if (settled !== undefined) return fault("control.refused", settled);
    const startedMs = this.#context.clock.monotonic();
    const seen = await this.#observe();
    if (!seen.ok) return seen;
    const { observed } = seen.value;
    this.#note("read", true, startedMs, describeText(observed.config.merged[KEY]));
    const prepared = this.#prepare(seen.value);
    return prepared.ok ? this.#roundTrip(observed, prepared.value) : prepared;
  }

  async #roundTrip(observed: ObservedGuest, { mark, action }: Prepared): Promise<Result<SelftestReport>> {
    const remembered = await this.#timed("remember the old description in the journal", () => putMark(this.#context.journal, mark), (result) => result.ok);
    if (!remembered.ok) return fault(remembered.error.code, `${remembered.error.message}; nothing was sent`, remembered.error);
    const isWritten = await this.#write(action, observed);
    const isAlike = isWritten && (await this.#readBack(mark));
    const restored = await this.#timed("restore", () => this.restore(mark), ({ isRestored }) => isRestored);
    return ok({
      version: 1, ...this.#guest, name: observed.name ?? "", isPassed: isWritten && isAlike && restored.isRestored,
      isRestored: restored.isRestored, steps: this.#steps,
    });
  }

  /** Why this guest is not tested; or what would be written. Nothing has been sent yet. */
  #prepare(seen: Seen): Result<Prepared> {
    const { observed } = seen;
    const refusal = this.#refusal(seen);
    if (refusal !== undefined) return fault("control.refused", `${formatGuestKey(this.#guest)} is not tested: ${refusal}; nothing was sent`);
    const raw = observed.config.merged[KEY];
    const original = raw === undefined ? undefined : String(raw);
    const written = writtenOver(original, this.#context.nonce);
    const since = new Date(this.#context.clock.now()).toISOString();
    const mark = { ...this.#guest, identity: observed.identity, original, written, since };
    const action = this.#actionTo(written, observed);
    // Judged before, not after: what could not be put back is not taken away.
    const canReturn = this.#actionTo(original, { ...observed, config: { ...observed.config, merged: { ...observed.config.merged, [KEY]: written } } }) !== undefined;
    if (action !== undefined && canReturn) return ok({ mark, action });
    return fault("control.refused", `${formatGuestKey(this.#guest)} is not tested: its description holds characters that could not be put back; nothing was sent`);
  }

  #refusal({ observed, snapshot }: Seen): string | undefined {
    if (this.#context.isStopping()) return "the agent is stopping";
    const situation = this.#context.situationOf(bareDeclaration(this.#guest), snapshot);
    if (situation.pausedReason !== undefined) return `it is ${situation.pausedReason || "paused"}; "agent resume" lets go of it`;
    if (situation.foreignTask !== undefined) return `somebody else's task is running on it: ${situation.foreignTask}`;
    if (observed.lock !== undefined) return `it is locked by Proxmox (${observed.lock})`;
    if (observed.isTemplate) return "it is a template, and a clone made meanwhile would keep the test's text";
    if (observed.ha?.isManaged === true && observed.ha.state !== "ignored") return "Proxmox's HA manager may move it to another node meanwhile";
    return undefined;
  }

  /** The first write: given up when somebody is in a hurry, for putting back comes after it in any case. */
  async #write(action: ApprovedAction, observed: ObservedGuest): Promise<boolean> {
    const stop = AbortSignal.any([this.#context.stop, this.#context.hurry]);
    this.#upid = undefined;
    const result = await this.#timed("write and wait", () => act({ ...this.#context, stop }, action, observed, "operation"), ({ kind }) => kind === "succeeded", (done) => this.#describeAct(done));
    return result.kind === "succeeded";
  }

  async #readBack(mark: SelftestMark): Promise<boolean> {
    const startedMs = this.#context.clock.monotonic();
    const seen = await this.#observe();
    if (!seen.ok) {
      this.#note("read back and compare", false, startedMs, seen.error.message);
      return false;
    }
    const found = seen.value.observed.config.merged[KEY];
    const isAlike = this.#form(found) === this.#form(mark.written);
    this.#note("read back and compare", isAlike, startedMs, isAlike ? "as written, in normal form" : `not as written: ${describeText(found)}`);
    return isAlike;
  }

  /**
   * Puts the old description back and looks that it is there. Only over the test's own text: what somebody
   * wrote since stays, and so does another guest that has got this number.
   */
  async restore(mark: SelftestMark, rounds = RESTORE_ROUNDS_MAX): Promise<Restoration> {
    let trouble = "the agent is stopping";
    for (let round = 0; round < rounds && !this.#context.stop.aborted; round++) {
      const step = await this.#restoreStep(mark);
      if (step.isOver) return this.#forget(mark, step.detail);
      trouble = step.trouble;
      if (trouble !== "" && round + 1 < rounds) await this.#context.clock.sleep(RETRY_MS, this.#context.stop);
    }
    return {
      isRestored: false,
      detail: `the old description is not back yet (${trouble || "Proxmox took it and reads back differently"}); the journal keeps it, and the next selftest of this guest or the running agent puts it back`,
    };
  }

  /** One look and at most one write. `trouble` is empty when the write went well and is to be looked at. */
  async #restoreStep(mark: SelftestMark): Promise<{ readonly isOver: true; readonly detail: string } | { readonly isOver: false; readonly trouble: string }> {
    const open = await this.#settle();
    if (open !== undefined) return { isOver: false, trouble: open };
    const seen = await this.#observe();
    if (!seen.ok) return { isOver: false, trouble: seen.error.message };
    const { observed } = seen.value;
    if (isOtherIdentity(mark.identity, observed.identity)) return { isOver: true, detail: "another guest has this number now; it was left alone" };
    const found = this.#form(observed.config.merged[KEY]);
    if (found === this.#form(mark.original)) return { isOver: true, detail: "the description is as it was" };
    if (found !== this.#form(mark.written)) return { isOver: true, detail: "somebody has written another description since; it was left as it is" };
    const action = this.#actionTo(mark.original, observed);
    if (action === undefined) return { isOver: false, trouble: "the gate does not let the old description through" };
    const result = await act(this.#context, action, observed, "operation");
    return { isOver: false, trouble: result.kind === "succeeded" ? "" : this.#describeAct(result) };
  }

  async #forget(mark: SelftestMark, detail: string): Promise<Restoration> {
    const forgotten = await forgetMark(this.#context.journal, mark.vmid);
    return { isRestored: true, detail: forgotten.ok ? detail : `${detail}; the journal could not note that: ${forgotten.error.message}` };
  }

  /** An action that makes the description `text`, approved; undefined when the gate says no. */
  #actionTo(text: string | undefined, observed: ObservedGuest): ApprovedAction | undefined {
    const found = observed.config.merged[KEY];
    const merged = normalizerFor(this.#guest.kind, KEY).merge(text ?? null, this.#normalizing(found));
    if (!merged.ok) return undefined;
    const send = merged.value ?? undefined;
    const change: FieldChange = {
      key: KEY, change: send === undefined ? "delete" : "set", declared: this.#form(text), found: this.#form(found), foundRaw: found === undefined ? undefined : String(found), send, applies: "now",
    };
    return admit([{ type: "set_config", guest: this.#guest, digest: observed.config.digest, changes: [change] }], observed, "operation").approved[0];
  }

  #form(raw: string | number | undefined): NormalForm {
    return raw === undefined ? null : normalizerFor(this.#guest.kind, KEY).normalize(raw, this.#normalizing(raw));
  }

  #normalizing(observed: string | number | undefined): NormalizeContext {
    const { tagStyle, pveVersion }: HostFacts = this.#context.facts();
    return { kind: this.#guest.kind, tagStyle, pveVersion, observed };
  }

  async #observe(): Promise<Result<Seen>> {
    const { api } = this.#context;
    const snapshot = await this.#context.freshSnapshot();
    if ("code" in snapshot) return { ok: false, error: snapshot };
    const observation = await observeGuest(api, bareDeclaration(this.#guest), snapshot, this.#context.facts());
    if (observation.kind !== "observed") return fault("control.refused", `${formatGuestKey(this.#guest)} cannot be read: ${observation.message}`);
    const status = await api.readStatus(this.#guest);
    return status.ok ? ok({ observed: refine(observation.guest, status.value), snapshot }) : status;
  }

  /** Undefined when nothing of earlier is open; else what it is. */
  async #settle(): Promise<string | undefined> {
    const { clock, stop, settle } = this.#context;
    const deadlineMs = clock.monotonic() + this.#settleTimeoutMs;
    for (;;) {
      let wait = await this.#context.unrecordedWait(this.#guest.vmid);
      for (const operation of this.#context.openOperationsOf(this.#guest.vmid)) {
        const settlement = await settleOperation(settle, operation);
        if (settlement.kind === "unknown") return settlement.message;
        if (settlement.kind === "waiting") wait = settlement.message;
      }
      if (wait === undefined) return undefined;
      if (stop.aborted || clock.monotonic() >= deadlineMs) return wait;
      await clock.sleep(RETRY_MS, stop);
    }
  }

  #noteTask(upid: Upid, next: (upid: Upid) => void): void {
    this.#upid = upid;
    next(upid);
  }

  #describeAct(result: ActResult): string {
    switch (result.kind) {
      case "succeeded":
        return this.#upid === undefined ? "Proxmox did it at once, without a task" : `task ${this.#upid}${result.note === "" ? "" : ` (${result.note})`}`;
      case "conflict":
        return "the config changed between reading and writing";
      case "failed":
      case "unsettled":
      case "not_journaled":
        return result.message;
    }
  }

  async #timed<T>(step: string, work: () => Promise<T>, isOk: (value: T) => boolean, describe?: (value: T) => string): Promise<T> {
    const startedMs = this.#context.clock.monotonic();
    const value = await work();
    const detail = describe?.(value) ?? (typeof value === "object" && value !== null && "detail" in value ? String(value.detail) : "");
    this.#note(step, isOk(value), startedMs, detail);
    return value;
  }

  #note(step: string, isOk: boolean, startedMs: number, detail: string): void {
    this.#steps.push({ step, isOk, milliseconds: Math.round((this.#context.clock.monotonic() - startedMs) * 10) / 10, detail });
  }
}

/** The guest and the host as they were read together. */
interface Seen {
  readonly observed: ObservedGuest;
  readonly snapshot: HostSnapshot;
}

interface Prepared {
  readonly mark: SelftestMark;
  readonly action: ApprovedAction;
}

/** A line that needs every kind of care on its way, under what is there. */
function writtenOver(original: string | undefined, nonce: string): string {
  const line = `Steward selftest ${nonce} (ünïcode, 100 %, #1, "quoted"): the description is put back in a moment`;
  const both = original === undefined || original.trim() === "" ? line : `${original.replace(/\s+$/, "")}\n${line}`;
  return Array.from(both).length <= DESCRIPTION_LENGTH_MAX ? both : line;
}

/** Its size alone: a description is the guest's, not this command's output. */
function describeText(raw: string | number | undefined): string {
  return raw === undefined ? "no description" : `a description of ${Array.from(String(raw)).length} characters`;
}
