import { Ahead, type Change } from "./ahead.ts";
import { Committer } from "./committer.ts";
import { troubleOf, type JournalContext, type Trouble } from "./context.ts";
import { JournalDirectory } from "./directory.ts";
import { HealthHolder } from "./health.ts";
import { DEFAULT_LIMITS, HEADROOM_BYTES, OUTCOME_RESERVE_BYTES, type JournalLimits } from "./limits.ts";
import { LiveTable, verdictSlot } from "./live-table.ts";
import { loadForReading, loadForWriting, NO_HEAD, type Loaded } from "./load.ts";
import { applyEvent, boundedEvent, holdsKey, plannedOperation } from "./operation.ts";
import { OperationIds } from "./operation-ids.ts";
import { asJson, encodeRecord, type EpochRecord, type JournalRecord, type VerdictRecord } from "./record.ts";
import { SpareFile } from "./reserve.ts";
import { Rotation } from "./rotation.ts";
import type { Compaction, FactValue, Journal, JournalGuest, JournalHead, JournalHealth, NewOperation, Operation, OperationEvent, VerdictOutcome } from "./types.ts";
import { fail, ok, type Fault, type Result } from "../ports/errors.ts";
import type { FileLock } from "../ports/file-system.ts";

/**
 * The journal: every act's intent before and outcome after, the facts that must survive, the gate's
 * verdicts. Promises: an answer comes only when the record is durable; damage is told apart from a
 * torn write and never read as something else; opening never throws. Leaves to others what an act
 * means and what to do about an unknown outcome. Format and rules: docs/journal.md.
 */
export interface JournalOptions extends Omit<JournalContext, "limits"> {
  /** Told how long each sync took. */
  readonly onSync?: (seconds: number) => void;
  readonly limits?: Partial<JournalLimits>;
  /** The writer lock, when the caller holds it already; `close` releases it. */
  readonly lock?: FileLock;
}

/**
 * Opens the journal in `directory`, creating it when only its parent exists. Fails with
 * `journal.locked` alone; every other trouble gives a journal in that state, whose reads work as far
 * as the files can be read and whose `reopen` heals what can be healed.
 */
export async function openJournal(options: JournalOptions): Promise<Result<Journal>> {
  const journal = new FileJournal(options);
  const locked = await journal.open();
  return locked.ok ? ok(journal) : locked;
}

const CLOSED: Fault = { code: "journal.closed", message: "the journal is closed: the agent is stopping" };

class FileJournal implements Journal {
  readonly #context: JournalContext;
  readonly #health = new HealthHolder();
  readonly #ahead = new Ahead();
  readonly #ids: OperationIds;
  readonly #spare: SpareFile;
  readonly #committer: Committer;
  readonly #directory: JournalDirectory;
  readonly #rotation: Rotation;
  #table: LiveTable;
  #head: JournalHead = NO_HEAD;
  /** This process has acknowledged records: reopening must find them again. */
  #hasWritten = false;
  #found: { readonly newestMs: number; readonly openedMs: number } | undefined;
  #appended = 0;
  #nowMs = Number.NaN;
  #nowText = "";
  #repaired = 0;
  #isClosing = false;
  #reopening: Promise<JournalHealth> | undefined;
  #compaction: Promise<Result<Compaction>> | undefined;

  constructor(options: JournalOptions) {
    const { onSync, limits, lock, ...parts } = options;
    this.#context = { ...parts, limits: { ...DEFAULT_LIMITS, ...limits } };
    this.#directory = new JournalDirectory(this.#context, lock);
    this.#table = new LiveTable(this.#context.limits);
    this.#ids = new OperationIds(options.clock, options.random);
    this.#spare = new SpareFile(options.fileSystem, options.directory, this.#context.limits.reserveBytes, options.random);
    this.#committer = new Committer({
      limits: this.#context.limits,
      health: this.#health,
      spare: this.#spare,
      openCount: () => this.#table.openCount,
      afterBatch: () => this.#rotation.betweenBatches(),
      clock: options.clock,
      onSync: onSync ?? (() => undefined),
    });
    this.#rotation = new Rotation({
      context: this.#context,
      health: this.#health,
      committer: this.#committer,
      directory: this.#directory,
      table: () => this.#table,
      onHead: (head) => {
        this.#head = head;
      },
    });
  }

  /** Fails only when another process holds the lock. */
  async open(): Promise<Result<void>> {
    const found = this.#directory.take(this.#hasWritten);
    if (found !== undefined && "code" in found) return fail(found);
    if (found === undefined) await this.#load();
    else this.#adopt(loadForReading(this.#context, found));
    return ok(undefined);
  }

  health(): JournalHealth {
    return this.#health.current;
  }

  head(): JournalHead {
    return this.#head;
  }

  lastRecordedAtMs(): number | undefined {
    return this.#table.lastAt === undefined ? undefined : Date.parse(this.#table.lastAt);
  }

  foundAtOpening(): { readonly newestMs: number; readonly openedMs: number } | undefined {
    return this.#found;
  }

  recordRestored(detail: string): Promise<Result<void>> {
    return this.#append({ records: [{ kind: "epoch", at: this.#now(), reason: "restored", detail }], isOutcome: false }, undefined);
  }

  appendedCount(): number {
    return this.#appended;
  }

  repairedCount(): number {
    return this.#repaired;
  }

  plan(operation: NewOperation): Promise<Result<Operation>> {
    return this.#plan(operation, false);
  }

  begin(operation: NewOperation): Promise<Result<Operation>> {
    return this.#plan(operation, true);
  }

  apply(id: string, event: OperationEvent): Promise<Result<Operation>> {
    const ahead = this.#ahead.operation(id);
    const durable = this.#table.operation(id);
    const current = ahead?.operation ?? durable;
    if (current === undefined) return refuse({ code: "journal.unknown_operation", message: `no operation ${id} is in the journal, or it was settled long ago` });
    const bounded = boundedEvent(event);
    const at = this.#now();
    const changed = applyEvent(current, bounded, at);
    if (!changed.ok) return refuse(changed.error);
    const hasRoom = durable !== undefined && (ahead === undefined || ahead.isOutcome);
    const change = { records: [{ kind: "event", at, op: id, event: bounded }], operation: changed.value, isOutcome: hasRoom && event.type !== "start" } as const;
    return this.#append(change, changed.value);
  }

  operation(id: string): Operation | undefined {
    return this.#table.operation(id);
  }

  openOperations(): readonly Operation[] {
    return this.#table.openOperations();
  }

  recentOperations(): readonly Operation[] {
    return this.#table.recentOperations();
  }

  keyHolder(key: string): Operation | undefined {
    const nowMs = this.#context.clock.now();
    return [this.#table.keyHolder(key), this.#ahead.keyHolder(key)].find((operation) => operation !== undefined && holdsKey(operation, nowMs));
  }

  epochs(): readonly EpochRecord[] {
    return this.#table.epochs();
  }

  putFact(namespace: string, key: string, value: FactValue | null): Promise<Result<void>> {
    return this.#append({ records: [{ kind: "fact", at: this.#now(), namespace, key, value: asJson(value) }], isOutcome: false }, undefined);
  }

  fact(namespace: string, key: string): FactValue | undefined {
    return this.#table.facts(namespace).get(key);
  }

  facts(namespace: string): ReadonlyMap<string, FactValue> {
    return this.#table.facts(namespace);
  }

  recordVerdict(guest: JournalGuest, actionDigest: string, outcome: VerdictOutcome, reason: string): Promise<Result<void>> {
    const slot = verdictSlot(guest, actionDigest);
    const ahead = this.#ahead.verdict(slot);
    const record: VerdictRecord = { kind: "verdict", at: this.#now(), guest: asJson(guest), digest: actionDigest, outcome, reason };
    // One that is on its way is written again rather than believed: it may still fail.
    if (ahead === undefined && isSameVerdict(this.#table.verdict(slot), record)) return Promise.resolve(ok(undefined));
    return this.#append({ records: [record], isOutcome: false }, undefined);
  }

  compact(): Promise<Result<Compaction>> {
    this.#compaction ??= this.#compact().finally(() => {
      this.#compaction = undefined;
    });
    return this.#compaction;
  }

  reopen(): Promise<JournalHealth> {
    this.#reopening ??= this.#reopen().finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  async close(): Promise<void> {
    if (this.#isClosing) return this.#committer.drain();
    this.#isClosing = true;
    await this.#reopening;
    await this.#committer.drain();
    this.#committer.use(undefined);
    this.#health.set("closed", CLOSED.message);
    this.#directory.release();
  }

  /** Many records of one batch are made in one millisecond: its text is made once. */
  #now(): string {
    const nowMs = this.#context.clock.now();
    if (nowMs !== this.#nowMs) this.#nowText = new Date(nowMs).toISOString();
    this.#nowMs = nowMs;
    return this.#nowText;
  }

  #plan(operation: NewOperation, isStarted: boolean): Promise<Result<Operation>> {
    const taken = this.#takenKey(operation);
    if (taken !== undefined) return refuse(taken);
    const at = this.#now();
    const id = this.#ids.next();
    const copy = asJson(operation);
    const planned: JournalRecord = { kind: "planned", at, op: id, operation: copy };
    if (!isStarted) {
      const result = plannedOperation(id, at, copy);
      return this.#append({ records: [planned], operation: result, isOutcome: false }, result);
    }
    const started = applyEvent(plannedOperation(id, at, copy), { type: "start" }, at);
    if (!started.ok) return refuse(started.error);
    const records: JournalRecord[] = [planned, { kind: "event", at, op: id, event: { type: "start" } }];
    return this.#append({ records, operation: started.value, isOutcome: false }, started.value);
  }

  /** The one place that keeps a one-shot operation from running twice. */
  #takenKey({ key }: NewOperation): Fault | undefined {
    if (key === undefined) return undefined;
    const holder = this.keyHolder(key);
    if (holder === undefined) return this.#keyShortage();
    const until = holder.keyExpiresAt ?? "for ever";
    return { code: "journal.key_used", message: `key "${key}" belongs to operation ${holder.id}, which is ${holder.state}; it cannot be used again until ${until}` };
  }

  /** Keys are kept for their whole life, so their number is bounded when they are taken. */
  #keyShortage(): Fault | undefined {
    const { keys } = this.#context.limits;
    if (this.#table.keyCount < keys) return undefined;
    this.#table.forgetExpired(this.#context.clock.now());
    if (this.#table.keyCount < keys) return undefined;
    return { code: "journal.queue_full", message: `expected fewer than ${keys} keys of one-shot operations that have not expired, found ${this.#table.keyCount}; give keys a shorter life` };
  }

  #append<T>(change: Change, value: T): Promise<Result<T>> {
    if (this.#isClosing) return refuse(CLOSED);
    const bodies = change.records.map(encodeRecord);
    const { recordBytes } = this.#context.limits;
    let sizeBytes = 0;
    for (const body of bodies) {
      const bodyBytes = Buffer.byteLength(body);
      if (bodyBytes > recordBytes) return refuse({ code: "journal.too_large", message: `a journal record of ${bodyBytes} bytes; at most ${recordBytes} are allowed` });
      sizeBytes += bodyBytes;
    }
    return new Promise((resolve) => {
      const settle = (result: Result<void>): void => {
        this.#ahead.remove(change);
        if (result.ok) this.#take(change);
        resolve(result.ok ? ok(value) : result);
      };
      const submission = { bodies, sizeBytes, isOutcome: change.isOutcome, settle };
      const admitted = this.#committer.admit(submission);
      if (!admitted.ok) return resolve(admitted);
      // Before it is submitted: a fast disk has settled it when `submit` returns.
      this.#ahead.add(change);
      this.#committer.submit(submission);
    });
  }

  /** What became durable becomes visible. */
  #take(change: Change): void {
    for (const record of change.records) this.#table.apply(record);
    this.#appended += change.records.length;
    this.#head = this.#committer.writer?.head ?? this.#head;
  }

  async #load(): Promise<void> {
    const loaded = await loadForWriting(this.#context, this.#hasWritten ? this.#head : undefined);
    this.#repaired += loaded.repaired;
    // What this process has acknowledged is known better here than on a disk that cannot be read.
    if (loaded.writer === undefined && this.#hasWritten) this.#setTrouble(loaded.trouble);
    else this.#adopt(loaded);
    if (loaded.writer !== undefined) await this.#keepRoom();
  }

  #adopt(loaded: Loaded): void {
    if (!this.#hasWritten && loaded.newestAt !== undefined) this.#found = { newestMs: Date.parse(loaded.newestAt), openedMs: this.#context.clock.now() };
    this.#table = loaded.table;
    this.#head = loaded.head;
    this.#committer.use(loaded.writer);
    this.#setTrouble(loaded.trouble);
    this.#hasWritten ||= loaded.writer !== undefined;
  }

  #setTrouble(trouble: Trouble | undefined): void {
    const before = this.#health.current;
    const health = trouble === undefined ? this.#health.set("healthy", "") : this.#health.set(trouble.state, trouble.message);
    // Tried again every few seconds: the same trouble is not news.
    const isNews = health.state !== before.state || health.message !== before.message;
    if (trouble !== undefined && isNews) this.#context.log.error("the journal is not healthy", { state: health.state, reason: health.message });
  }

  /** Nothing starts unless the outcomes of what is open can be written whatever happens. */
  async #keepRoom(): Promise<void> {
    const spare = await this.#spare.ensure();
    const outcomeBytes = (this.#table.openCount + 1) * OUTCOME_RESERVE_BYTES;
    const room = spare.ok ? this.#committer.writer?.reserve(outcomeBytes, HEADROOM_BYTES) ?? spare : spare;
    this.#setTrouble(room.ok ? this.#directory.trouble() : troubleOf(room.error));
  }

  /** A healthy journal's look at its disk; trouble is said once. */
  #checkDisk(): void {
    const trouble = this.#directory.trouble();
    if (trouble !== undefined) this.#setTrouble(trouble);
  }

  async #reopen(): Promise<JournalHealth> {
    const { state } = this.#health;
    if (state === "closed" || state === "corrupt" || this.#isClosing) return this.health();
    if (state === "healthy") {
      this.#checkDisk();
      return this.health();
    }
    await this.#committer.drain();
    if (state === "full" && this.#committer.writer !== undefined) {
      await this.#keepRoom();
      return this.health();
    }
    this.#committer.use(undefined);
    const found = this.#directory.take(this.#hasWritten);
    if (found === undefined) await this.#load();
    else this.#setTrouble({ state: this.#stateWhileUnread(state) ?? ("code" in found ? "unwritable" : found.state), message: found.message });
    return this.health();
  }

  /** What a journal that was never read may hold is as unknown as before, whatever keeps it from being opened now. */
  #stateWhileUnread(state: JournalHealth["state"]): "poisoned" | undefined {
    return state === "poisoned" && !this.#hasWritten ? "poisoned" : undefined;
  }

  async #compact(): Promise<Result<Compaction>> {
    return this.#isClosing ? fail(CLOSED) : this.#rotation.compact();
  }
}

function refuse(error: Fault): Promise<{ readonly ok: false; readonly error: Fault }> {
  return Promise.resolve(fail(error));
}

function isSameVerdict(last: VerdictRecord | undefined, next: VerdictRecord): boolean {
  return last !== undefined && last.outcome === next.outcome && last.reason === next.reason;
}
