import { fail, fault, ok, type ErrorCode, type Result } from "../../src/ports/errors.ts";
import type { FileLock, FileStatus, FileSystem, OpenFile } from "../../src/ports/file-system.ts";

/**
 * A simulated disk. It keeps apart what programs see and what a crash would leave: data is durable
 * after `dataSync`, a name after `syncDirectory`. It records every change in `changes`, from which
 * test/journal/crash-states.ts derives every state a crash may leave. No kinder than the real thing.
 *
 * Faults it can inject:
 * - `failAt(k, fault)`: the k-th call from now (any call) fails with EIO, ENOSPC, EINTR or EROFS, or is
 *   a short write; once, or from then on;
 * - `capacityBytes`: a full disk: writes go as far as there is room, then fail; reservations count;
 * - a failed `dataSync` loses the pages: they look written until `dropCache`, never become durable, and
 *   the next `dataSync` reports success (what Linux does);
 * - `lies`: `dataSync`, `syncDirectory` or `truncate` reports success and does nothing (canaries);
 * - `supportsAllocate: false`: `allocate` is refused, as on some file systems;
 * - `beforeSync`: a sync that takes as long as the test wants; without it the disk answers on the spot.
 */
export type FaultKind = "io" | "no_space" | "interrupted" | "read_only" | "short_write";

export interface PlannedFault {
  readonly kind: FaultKind;
  readonly lasts: "once" | "for ever";
}

/** What changed on the disk, in order. */
export type Change =
  | { readonly type: "create"; readonly path: string; readonly inode: number }
  | { readonly type: "makeDirectory"; readonly path: string }
  | { readonly type: "rename"; readonly from: string; readonly to: string; readonly inode: number }
  | { readonly type: "remove"; readonly path: string; readonly inode: number }
  | { readonly type: "write"; readonly inode: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly type: "truncate"; readonly inode: number; readonly sizeBytes: number }
  | { readonly type: "dataSync"; readonly inode: number; readonly upTo: number }
  | { readonly type: "dataSyncFailed"; readonly inode: number; readonly upTo: number }
  | { readonly type: "syncDirectory"; readonly path: string; readonly upTo: number };

export type DataChange = Extract<Change, { type: "write" | "truncate" }>;

interface Inode {
  readonly number: number;
  mode: number;
  ownerUid: number;
  modifiedAtMs: number;
  visible: Uint8Array;
  durable: Uint8Array;
  /** Indexes into `changes` of data changes that are not durable yet. */
  pending: number[];
  allocatedBytes: number;
}

export interface MemoryFileSystemOptions {
  readonly directories?: readonly string[];
  readonly files?: ReadonlyMap<string, Uint8Array>;
  readonly capacityBytes?: number;
  readonly supportsAllocate?: boolean;
  readonly lies?: "dataSync" | "syncDirectory" | "truncate";
  readonly nowMs?: () => number;
}

const FAULT_CODES: Record<FaultKind, ErrorCode> = {
  io: "file.io", no_space: "file.no_space", interrupted: "file.interrupted", read_only: "file.read_only", short_write: "file.io",
};

export class MemoryFileSystem implements FileSystem {
  effectiveUid = 1000;
  capacityBytes: number;
  supportsAllocate: boolean;
  beforeSync: () => Promise<void> | undefined = () => undefined;
  readonly changes: Change[] = [];
  calls = 0;
  readonly #lies: MemoryFileSystemOptions["lies"];
  readonly #nowMs: () => number;
  readonly #inodes = new Map<number, Inode>();
  readonly #names = new Map<string, number>();
  readonly #directories = new Map<string, { mode: number; ownerUid: number; inode: number }>();
  readonly #locks = new Map<string, string>();
  #nextInode = 100;
  #fault: { at: number; planned: PlannedFault } | undefined;

  constructor(options: MemoryFileSystemOptions = {}) {
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
    this.supportsAllocate = options.supportsAllocate ?? true;
    this.#lies = options.lies;
    this.#nowMs = options.nowMs ?? (() => Date.UTC(2026, 0, 1));
    for (const path of options.directories ?? ["/state"]) this.#directories.set(path, { mode: 0o700, ownerUid: this.effectiveUid, inode: directoryInode(path) });
    for (const [path, bytes] of options.files ?? []) {
      const inode = this.#newInode(0o600);
      inode.visible = bytes;
      inode.durable = bytes;
      this.#names.set(path, inode.number);
    }
  }

  /** The k-th call from now (1 = the next one) fails. */
  failAt(k: number, planned: PlannedFault): void {
    this.#fault = { at: this.calls + k, planned };
  }

  heal(): void {
    this.#fault = undefined;
  }

  /** Whether the planned fault has struck. */
  get hasFailed(): boolean {
    return this.#fault !== undefined && this.calls >= this.#fault.at;
  }

  /** Every file as programs see it. */
  snapshot(): Map<string, Uint8Array> {
    return new Map([...this.#names].map(([path, inode]) => [path, this.#inode(inode).visible]));
  }

  get directories(): readonly string[] {
    return [...this.#directories.keys()];
  }

  /** Changes a file's or directory's permissions or owner, as somebody else would. */
  chmod(path: string, mode: number, ownerUid?: number): void {
    const target = this.#directories.get(path) ?? this.#inode(this.#names.get(path) ?? -1);
    target.mode = mode;
    if (ownerUid !== undefined) target.ownerUid = ownerUid;
  }

  /** Puts `bytes` where `path` is, durably, as a person with an editor would. */
  overwrite(path: string, bytes: Uint8Array): void {
    const inode = this.#inode(this.#names.get(path) ?? -1);
    inode.visible = bytes;
    inode.durable = bytes;
    inode.pending = [];
  }

  open(path: string, how: "read" | "append" | "createNew", mode = 0o600): Result<OpenFile> {
    const failed = this.#failure("open", path);
    if (failed !== undefined) return failed;
    const existing = this.#names.get(path);
    if (how === "createNew" && existing !== undefined) return fault("file.exists", `cannot open ${path}: it exists`);
    if (existing !== undefined) return ok(new MemoryFile(this.#ports(path), this.#inode(existing)));
    if (how === "read" || !this.#directories.has(parent(path))) return fault("file.not_found", `cannot open ${path}: no such file`);
    const inode = this.#newInode(mode);
    this.#names.set(path, inode.number);
    this.changes.push({ type: "create", path, inode: inode.number });
    return ok(new MemoryFile(this.#ports(path), inode));
  }

  readFile(path: string): Result<Uint8Array> {
    const inode = this.#names.get(path);
    const failed = this.#failure("read", path);
    if (failed !== undefined) return failed;
    return inode === undefined ? fault("file.not_found", `cannot read ${path}: no such file`) : ok(this.#inode(inode).visible.slice());
  }

  list(directory: string): Result<readonly string[]> {
    const failed = this.#failure("list", directory);
    if (failed !== undefined) return failed;
    if (!this.#directories.has(directory)) return fault("file.not_found", `cannot list ${directory}: no such directory`);
    const paths = [...this.#names.keys(), ...this.#directories.keys()];
    return ok(paths.filter((path) => parent(path) === directory).map((path) => path.slice(directory.length + 1)).toReversed());
  }

  status(path: string): Result<FileStatus> {
    const failed = this.#failure("look at", path);
    if (failed !== undefined) return failed;
    const directory = this.#directories.get(path);
    if (directory !== undefined) return ok({ ...directory, isDirectory: true, isFile: false, sizeBytes: 0, modifiedAtMs: 0 });
    const number = this.#names.get(path);
    if (number === undefined) return fault("file.not_found", `cannot look at ${path}: no such file`);
    const { mode, ownerUid, visible, modifiedAtMs } = this.#inode(number);
    return ok({ isDirectory: false, isFile: true, mode, ownerUid, sizeBytes: visible.length, inode: number, modifiedAtMs });
  }

  makeDirectory(path: string, mode: number): Result<void> {
    const failed = this.#failure("make directory", path);
    if (failed !== undefined) return failed;
    if (!this.#directories.has(parent(path))) return fault("file.not_found", `cannot make directory ${path}: no such parent`);
    if (this.#directories.has(path) || this.#names.has(path)) return fault("file.exists", `cannot make directory ${path}: it exists`);
    this.#directories.set(path, { mode, ownerUid: this.effectiveUid, inode: directoryInode(path) });
    this.changes.push({ type: "makeDirectory", path });
    return ok(undefined);
  }

  rename(from: string, to: string): Result<void> {
    const failed = this.#failure("rename", from);
    if (failed !== undefined) return failed;
    const inode = this.#names.get(from);
    if (inode === undefined) return fault("file.not_found", `cannot rename ${from}: no such file`);
    this.#names.delete(from);
    this.#names.set(to, inode);
    this.changes.push({ type: "rename", from, to, inode });
    return ok(undefined);
  }

  remove(path: string): Result<void> {
    const failed = this.#failure("remove", path);
    if (failed !== undefined) return failed;
    const inode = this.#names.get(path);
    if (inode === undefined) return fault("file.not_found", `cannot remove ${path}: no such file`);
    this.#names.delete(path);
    this.changes.push({ type: "remove", path, inode });
    return ok(undefined);
  }

  async syncDirectory(path: string): Promise<Result<void>> {
    const upTo = this.changes.length;
    const failed = this.#failure("sync directory", path);
    await this.beforeSync();
    if (failed !== undefined) return failed;
    if (!this.#directories.has(path)) return fault("file.not_found", `cannot sync directory ${path}: no such directory`);
    if (this.#lies !== "syncDirectory") this.changes.push({ type: "syncDirectory", path, upTo });
    return ok(undefined);
  }

  freeBytes(path: string): Result<number> {
    return this.#failure("ask the free space of", path) ?? ok(Math.max(0, this.capacityBytes - this.#usedBytes()));
  }

  lock(path: string, holder: string): Result<FileLock> {
    const failed = this.#failure("lock", path);
    if (failed !== undefined) return failed;
    if (!this.#directories.has(parent(path))) return fault("file.not_found", `cannot lock ${path}: no such directory`);
    const other = this.#locks.get(path);
    if (other !== undefined) return fault("journal.locked", `${path} is held by ${other}`);
    if (!this.#names.has(path)) this.#names.set(path, this.#newInode(0o600).number);
    this.#locks.set(path, holder);
    return ok({ release: () => void this.#locks.delete(path) });
  }

  #newInode(mode: number): Inode {
    const inode: Inode = {
      number: this.#nextInode++, mode, ownerUid: this.effectiveUid, modifiedAtMs: this.#nowMs(),
      visible: new Uint8Array(), durable: new Uint8Array(), pending: [], allocatedBytes: 0,
    };
    this.#inodes.set(inode.number, inode);
    return inode;
  }

  #inode(number: number): Inode {
    const inode = this.#inodes.get(number);
    if (inode === undefined) throw new Error(`no inode ${number}`);
    return inode;
  }

  #usedBytes(): number {
    return [...new Set(this.#names.values())].reduce((sum, number) => {
      const { visible, allocatedBytes } = this.#inode(number);
      return sum + Math.max(visible.length, allocatedBytes);
    }, 0);
  }

  /** Counts the call; the fault that is due, if any. */
  #failure(what: string, path: string, canBeShort = false): { readonly ok: false; readonly error: { code: ErrorCode; message: string } } | undefined {
    this.calls++;
    if (this.#fault === undefined || this.calls < this.#fault.at) return undefined;
    const { at, planned } = this.#fault;
    if (planned.lasts === "once" && this.calls > at) return undefined;
    // A short write happens to writes only.
    if (planned.kind === "short_write" && !canBeShort) return undefined;
    return fail({ code: FAULT_CODES[planned.kind], message: `cannot ${what} ${path}: injected ${planned.kind}` });
  }

  #ports(path: string): FilePorts {
    return {
      path,
      fileSystem: this,
      failure: (what, canBeShort) => this.#failure(what, path, canBeShort),
      faultKind: () => this.#fault?.planned.kind,
      freeBytes: (inode) => this.capacityBytes - this.#usedBytes() + Math.max(0, inode.allocatedBytes - inode.visible.length),
      lies: this.#lies,
      nowMs: this.#nowMs,
    };
  }
}

interface FilePorts {
  readonly path: string;
  readonly fileSystem: MemoryFileSystem;
  failure(what: string, canBeShort?: boolean): { readonly ok: false; readonly error: { code: ErrorCode; message: string } } | undefined;
  faultKind(): FaultKind | undefined;
  freeBytes(inode: Inode): number;
  readonly lies: MemoryFileSystemOptions["lies"];
  readonly nowMs: () => number;
}

class MemoryFile implements OpenFile {
  readonly #ports: FilePorts;
  readonly #inode: Inode;

  constructor(ports: FilePorts, inode: Inode) {
    this.#ports = ports;
    this.#inode = inode;
  }

  write(bytes: Uint8Array): Result<void> {
    const failed = this.#ports.failure("write", true);
    const isShort = failed !== undefined && this.#ports.faultKind() === "short_write";
    if (failed !== undefined && !isShort) return fail({ ...failed.error, cause: { writtenBytes: 0 } } as never);
    const room = Math.max(0, this.#ports.freeBytes(this.#inode));
    const writtenBytes = Math.min(bytes.length, room, isShort ? Math.floor(bytes.length / 2) : bytes.length);
    if (writtenBytes > 0) this.#change({ type: "write", inode: this.#inode.number, offset: this.#inode.visible.length, bytes: bytes.slice(0, writtenBytes) });
    if (writtenBytes === bytes.length) return ok(undefined);
    const code = isShort ? "file.io" : "file.no_space";
    return fault(code, `cannot write ${this.#ports.path}: ${writtenBytes} of ${bytes.length} bytes written`, { writtenBytes });
  }

  dataSync(): Result<void> | Promise<Result<void>> {
    const upTo = this.#ports.fileSystem.changes.length;
    const failed = this.#ports.failure("sync");
    const waiting = this.#ports.fileSystem.beforeSync();
    return waiting === undefined ? this.#answerSync(upTo, failed) : waiting.then(() => this.#answerSync(upTo, failed));
  }

  #answerSync(upTo: number, failed: ReturnType<FilePorts["failure"]>): Result<void> {
    const { changes } = this.#ports.fileSystem;
    if (this.#ports.lies === "dataSync") return ok(undefined);
    const covered = this.#inode.pending.filter((index) => index < upTo);
    this.#inode.pending = this.#inode.pending.filter((index) => index >= upTo);
    if (failed !== undefined) {
      // The pages are marked clean: nobody will ever write them again.
      changes.push({ type: "dataSyncFailed", inode: this.#inode.number, upTo });
      return failed;
    }
    for (const index of covered) this.#inode.durable = applyDataChange(this.#inode.durable, changes[index] as DataChange);
    changes.push({ type: "dataSync", inode: this.#inode.number, upTo });
    return ok(undefined);
  }

  truncate(sizeBytes: number): Result<void> {
    const failed = this.#ports.failure("truncate");
    if (failed !== undefined) return failed;
    if (this.#ports.lies === "truncate") return ok(undefined);
    this.#inode.allocatedBytes = 0;
    this.#change({ type: "truncate", inode: this.#inode.number, sizeBytes });
    return ok(undefined);
  }

  read(offset: number, sizeBytes: number): Result<Uint8Array> {
    return this.#ports.failure("read") ?? ok(this.#inode.visible.slice(offset, offset + sizeBytes));
  }

  sizeBytes(): Result<number> {
    return this.#ports.failure("look at") ?? ok(this.#inode.visible.length);
  }

  allocate(sizeBytes: number): Result<void> {
    const failed = this.#ports.failure("allocate");
    if (failed !== undefined) return failed;
    if (!this.#ports.fileSystem.supportsAllocate) return fault("file.other", `cannot reserve space for ${this.#ports.path}: not supported`);
    const more = sizeBytes - Math.max(this.#inode.visible.length, this.#inode.allocatedBytes);
    const free = this.#ports.freeBytes(this.#inode) - Math.max(0, this.#inode.allocatedBytes - this.#inode.visible.length);
    if (more > free) return fault("file.no_space", `cannot reserve ${sizeBytes} bytes for ${this.#ports.path}: no space`);
    this.#inode.allocatedBytes = Math.max(this.#inode.allocatedBytes, sizeBytes);
    return ok(undefined);
  }

  dropCache(): void {
    const { changes } = this.#ports.fileSystem;
    this.#inode.visible = this.#inode.pending.reduce((bytes, index) => applyDataChange(bytes, changes[index] as DataChange), this.#inode.durable);
  }

  close(): void {
    // Nothing is held.
  }

  #change(change: DataChange): void {
    this.#inode.visible = applyDataChange(this.#inode.visible, change);
    this.#inode.modifiedAtMs = this.#ports.nowMs();
    this.#inode.pending.push(this.#ports.fileSystem.changes.push(change) - 1);
  }
}

/** `bytes` after a data change; a write beyond the end leaves zeros between. */
export function applyDataChange(bytes: Uint8Array, change: DataChange): Uint8Array {
  const size = change.type === "truncate" ? change.sizeBytes : Math.max(bytes.length, change.offset + change.bytes.length);
  const result = new Uint8Array(size);
  result.set(bytes.subarray(0, size));
  if (change.type === "write") result.set(change.bytes, change.offset);
  return result;
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/** The same path has the same inode after a crash, as on a real disk. */
function directoryInode(path: string): number {
  return 2 + path.length;
}
