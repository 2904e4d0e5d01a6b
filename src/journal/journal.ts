import { Ahead, type Change } from "./ahead.ts";
import { Committer } from "./committer.ts";
import { acquireWriterLock, insecurityOf, LOCK_NAME, prepareDirectory, timestamp, troubleOf, type JournalContext, type Trouble } from "./context.ts";
import { HealthHolder } from "./health.ts";
import { DEFAULT_LIMITS, DIRECTORY_MODE, FILE_MODE, FREE_BYTES_MIN, HEADROOM_BYTES, OUTCOME_RESERVE_BYTES, type JournalLimits } from "./limits.ts";
import { LiveTable, verdictSlot } from "./live-table.ts";
import { loadForReading, loadForWriting, NO_HEAD, type Loaded } from "./load.ts";
import { applyEvent, boundedEvent, holdsKey, plannedOperation } from "./operation.ts";
import { OperationIds } from "./operation-ids.ts";
import { asJson, encodeRecord, type EpochRecord, type JournalRecord, type VerdictRecord } from "./record.ts";
import { SpareFile } from "./reserve.ts";
import { segmentNames } from "./segment.ts";
import type { SegmentWriter } from "./segment-writer.ts";
import { removeOldSegments, startSegment } from "./start-segment.ts";
import type { Compaction, FactValue, Journal, JournalGuest, JournalHead, JournalHealth, NewOperation, Operation, OperationEvent, VerdictOutcome } from "./types.ts";
import { fail, ok, type Fault, type Result } from "../ports/errors.ts";
import type { FileLock, FileSystem } from "../ports/file-system.ts";

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

class FileJournal implements Journal {
  readonly #context: JournalContext;
  readonly #health = new HealthHolder();
  readonly #ahead = new Ahead();
  readonly #ids: OperationIds;
  readonly #spare: SpareFile;
  readonly #committer: Committer;
  #table: LiveTable;
  #lock: FileLock | undefined;
  #head: JournalHead = NO_HEAD;
  /** This process has acknowledged records: reopening must find them again. */
  #hasWritten = false;
  #found: { readonly newestMs: number; readonly openedMs: number } | undefined;
  #appended = 0;
  #nowMs = Number.NaN;
  #nowText = "";
  #repaired = 0;
  #isClosing = false;
  #rotateAtBytes: number;
  #reopening: Promise<JournalHealth> | undefined;
  #compaction: Promise<Result<Compaction>> | undefined;
  /** Told what the compaction that is asked for did. */
  #onCompacted: ((result: Result<Compaction>) => void) | undefined;

  constructor(options: JournalOptions) {
    const { onSync, limits, lock, ...parts } = options;
    this.#context = { ...parts, limits: { ...DEFAULT_LIMITS, ...limits } };
    this.#lock = lock;
    this.#table = new LiveTable(this.#context.limits);
    this.#ids = new OperationIds(options.clock, options.random);
    this.#rotateAtBytes = this.#context.limits.segmentBytes;
    this.#spare = new SpareFile(options.fileSystem, options.directory, this.#context.limits.reserveBytes, options.random);
    this.#committer = new Committer({
      limits: this.#context.limits,
      health: this.#health,
      spare: this.#spare,
      openCount: () => this.#table.openCount,
      afterBatch: () => this.#betweenBatches(),
      clock: options.clock,
      onSync: onSync ?? (() => undefined),
    });
  }

  /** Fails only when another process holds the lock. */
  async open(): Promise<Result<void>> {
    const found = this.#takeDirectory();
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
    this.#health.set("closed", "the journal is closed: the agent is stopping");
    this.#lock?.release();
    this.#lock = undefined;
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
    if (this.#isClosing) return refuse({ code: "journal.closed", message: "the journal is closed: the agent is stopping" });
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

  /** Lock and trust, before anything is read. A fault is another process's lock. */
  #takeDirectory(): Trouble | Fault | undefined {
    const { fileSystem, directory, node, version, clock } = this.#context;
    // One that was written and is gone was moved away: a new one in its place would hide that, and be in its way back.
    const missing = this.#hasWritten ? absenceOf(fileSystem, directory) : prepareDirectory(fileSystem, directory);
    if (missing !== undefined) return missing;
    if (this.#lock === undefined) {
      const locked = acquireWriterLock(fileSystem, directory, `steward ${version} on ${node} since ${timestamp(clock)}`);
      if (!locked.ok) return locked.error.code === "journal.locked" ? locked.error : troubleOf(locked.error);
      this.#lock = locked.value;
    }
    const status = fileSystem.status(directory);
    if (!status.ok) return troubleOf(status.error);
    if (!status.value.isDirectory) return { state: "unwritable", message: `${directory} is not a directory: move it away` };
    const insecurity = insecurityOf(fileSystem, directory, status.value, DIRECTORY_MODE);
    return insecurity === undefined ? undefined : { state: "insecure", message: insecurity };
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
    this.#setTrouble(room.ok ? this.#diskTrouble() : troubleOf(room.error));
  }

  /**
   * What the next write would run into, found before it does: the directory gone or read-only, the disk
   * full. Space that is reserved is for outcomes; when the disk has none besides, nothing new may start.
   */
  #diskTrouble(): Trouble | undefined {
    const { fileSystem, directory } = this.#context;
    const probe = fileSystem.open(`${directory}/${LOCK_NAME}`, "append", FILE_MODE);
    if (!probe.ok) return troubleOf(probe.error);
    probe.value.close();
    const free = fileSystem.freeBytes(directory);
    if (!free.ok) return troubleOf(free.error);
    if (free.value >= FREE_BYTES_MIN) return undefined;
    return { state: "full", message: `expected at least ${FREE_BYTES_MIN / 1024} KiB of free space for ${directory}, found ${Math.floor(free.value / 1024)} KiB: free some; outcomes of what runs can still be written` };
  }

  /** A healthy journal's look at its disk; trouble is said once. */
  #checkDisk(): void {
    const trouble = this.#diskTrouble();
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
    const found = this.#takeDirectory();
    if (found === undefined) await this.#load();
    else this.#setTrouble({ state: this.#stateWhileUnread(state) ?? ("code" in found ? "unwritable" : found.state), message: found.message });
    return this.health();
  }

  /** What a journal that was never read may hold is as unknown as before, whatever keeps it from being opened now. */
  #stateWhileUnread(state: JournalHealth["state"]): "poisoned" | undefined {
    return state === "poisoned" && !this.#hasWritten ? "poisoned" : undefined;
  }

  async #compact(): Promise<Result<Compaction>> {
    if (this.#isClosing) return refuse({ code: "journal.closed", message: "the journal is closed: the agent is stopping" });
    const compacted = new Promise<Result<Compaction>>((resolve) => {
      this.#onCompacted = resolve;
    });
    // A turn between two batches, for the price of a sync: nothing is written for it.
    const turn = await this.#submitNothing();
    // Without a turn, or when the journal went bad before it, nobody will tell.
    const result = turn.ok ? await Promise.race([compacted, this.#committer.drain().then(() => fail(this.#health.fault()))]) : turn;
    this.#onCompacted = undefined;
    return result;
  }

  #submitNothing(): Promise<Result<void>> {
    return new Promise((settle) => {
      const nothing = { bodies: [], sizeBytes: 0, isOutcome: false, settle };
      const admitted = this.#committer.admit(nothing);
      if (admitted.ok) this.#committer.submit(nothing);
      else settle(admitted);
    });
  }

  #betweenBatches(): Promise<void> | undefined {
    const onCompacted = this.#onCompacted;
    this.#onCompacted = undefined;
    const { writer } = this.#committer;
    // A checkpoint as large as what follows it: rewriting the live state stays cheap however large it is.
    const isDue = writer !== undefined && writer.appendedBytes >= Math.max(this.#rotateAtBytes, writer.checkpointBytes);
    return writer === undefined || !(isDue || onCompacted !== undefined) ? undefined : this.#rotateFor(writer, onCompacted);
  }

  async #rotateFor(writer: SegmentWriter, onCompacted: ((result: Result<Compaction>) => void) | undefined): Promise<void> {
    const before = this.#segments();
    const rotated = await this.#rotate(writer);
    onCompacted?.(rotated.ok ? ok(this.#compactionInto(before, rotated.value)) : rotated);
  }

  async #rotate(writer: SegmentWriter): Promise<Result<SegmentWriter>> {
    const { segmentBytes } = this.#context.limits;
    const created = await startSegment(this.#context, this.#table, writer.head.sequence, writer.head.hash);
    if (created.ok) {
      this.#committer.follow(created.writer);
      this.#head = created.writer.head;
      this.#rotateAtBytes = segmentBytes;
      await removeOldSegments(this.#context, created.writer.name);
      return ok(created.writer);
    }
    if (created.isNamed) {
      // The new segment may or may not be there after a crash: neither file may be written to.
      this.#health.set("poisoned", `a new journal segment could not be made durable: ${created.error.message}`);
      return fail(this.#health.fault());
    }
    this.#rotateAtBytes = writer.appendedBytes + segmentBytes / 4;
    this.#context.log.warn("the journal goes on in its old segment", { error: created.error.message });
    return fail(created.error);
  }

  #compactionInto(before: readonly string[], { name, head, checkpointBytes }: SegmentWriter): Compaction {
    const after = this.#segments();
    return {
      segment: name, records: head.sequence - Number.parseInt(name, 10), sizeBytes: checkpointBytes,
      removed: before.filter((old) => !after.includes(old)), kept: after.filter((old) => old !== name),
    };
  }

  #segments(): readonly string[] {
    const listed = this.#context.fileSystem.list(this.#context.directory);
    return listed.ok ? segmentNames(listed.value) : [];
  }
}

function refuse(error: Fault): Promise<{ readonly ok: false; readonly error: Fault }> {
  return Promise.resolve(fail(error));
}

function absenceOf(fileSystem: FileSystem, directory: string): Trouble | undefined {
  const status = fileSystem.status(directory);
  if (status.ok) return undefined;
  const { state } = troubleOf(status.error);
  return { state, message: `${directory} was there and is not any more (${status.error.message}): put it back; until then acts are not recorded` };
}

function isSameVerdict(last: VerdictRecord | undefined, next: VerdictRecord): boolean {
  return last !== undefined && last.outcome === next.outcome && last.reason === next.reason;
}
