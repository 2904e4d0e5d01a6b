import { ok } from "../../src/ports/errors.ts";
import type { FileSystem, OpenFile } from "../../src/ports/file-system.ts";

/** A real disk whose syncs of files hang for as long as the test wants, as those of a dying disk do. */
export class HangingDisk implements FileSystem {
  readonly #disk: FileSystem;
  readonly #waiting: (() => void)[] = [];
  #hangs = false;

  constructor(disk: FileSystem) {
    this.#disk = disk;
  }

  /** From now on no sync comes back. */
  hang(): void {
    this.#hangs = true;
  }

  /** The disk answers again, also those who have waited. */
  recover(): void {
    this.#hangs = false;
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  /** Syncs that hang now. */
  get hanging(): number {
    return this.#waiting.length;
  }

  get effectiveUid(): number {
    return this.#disk.effectiveUid;
  }

  open: FileSystem["open"] = (path, how, mode) => {
    const opened = this.#disk.open(path, how, mode);
    return opened.ok ? ok(this.#slow(opened.value)) : opened;
  };
  readFile: FileSystem["readFile"] = (path) => this.#disk.readFile(path);
  list: FileSystem["list"] = (directory) => this.#disk.list(directory);
  status: FileSystem["status"] = (path) => this.#disk.status(path);
  makeDirectory: FileSystem["makeDirectory"] = (path, mode) => this.#disk.makeDirectory(path, mode);
  rename: FileSystem["rename"] = (from, to) => this.#disk.rename(from, to);
  remove: FileSystem["remove"] = (path) => this.#disk.remove(path);
  syncDirectory: FileSystem["syncDirectory"] = (path) => this.#disk.syncDirectory(path);
  freeBytes: FileSystem["freeBytes"] = (path) => this.#disk.freeBytes(path);
  lock: FileSystem["lock"] = (path, holder) => this.#disk.lock(path, holder);

  #slow(file: OpenFile): OpenFile {
    return {
      write: (bytes) => file.write(bytes),
      dataSync: async () => {
        if (this.#hangs) await new Promise<void>((goOn) => this.#waiting.push(goOn));
        return file.dataSync();
      },
      truncate: (sizeBytes) => file.truncate(sizeBytes),
      read: (offset, sizeBytes) => file.read(offset, sizeBytes),
      sizeBytes: () => file.sizeBytes(),
      allocate: (sizeBytes) => file.allocate(sizeBytes),
      dropCache: () => file.dropCache(),
      close: () => file.close(),
    };
  }
}
