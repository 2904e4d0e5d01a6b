import { Died } from "./died.ts";
import { parsePropertyString } from "./verify.ts";
import { CONFIG_SCHEMAS } from "./schema.gen.ts";
import { parseSize } from "./sizes.ts";

/**
 * The storages of storage.cfg and the volumes on them: names, sizes, owners. There is no data behind a
 * volume; what counts is that it exists exactly as long as it would on a real host.
 */

export interface Storage {
  readonly id: string;
  readonly type: string;
  readonly content: ReadonlySet<string>;
  /** Volumes are files with a format in their name; else they are block devices. */
  readonly isFileBased: boolean;
  readonly path: string;
}

export interface Volume {
  readonly id: string;
  readonly vmid: number;
  sizeBytes: number;
  readonly format: string;
  readonly content: string;
  readonly createdAt: number;
}

const FILE_BASED = new Set(["dir", "nfs", "cifs", "glusterfs", "cephfs", "btrfs"]);
const DIRECTORY_VOLUME = /^(\d+)\/[^/\s]+\.(?:raw|qcow2|vmdk)$/;
const BLOCK_VOLUME = /^(?:vm|base)-(\d+)-\S+$/;
const OTHER_CONTENT = /^(iso|vztmpl|snippets|backup|import)\/[^/]+$/;
const GIB_BYTES = 1024 ** 3;

/** All storages of the host and what is on them. */
export class Storages {
  readonly #storages = new Map<string, Storage>();
  readonly #volumes = new Map<string, Volume>();

  constructor(storageConfig: string) {
    for (const storage of parseStorageConfig(storageConfig)) this.#storages.set(storage.id, storage);
  }

  all(): readonly Storage[] {
    return [...this.#storages.values()];
  }

  volumes(): readonly Volume[] {
    return [...this.#volumes.values()];
  }

  /** Dies when there is no such storage. */
  need(id: string): Storage {
    const storage = this.#storages.get(id);
    if (storage === undefined) throw Died.because(`storage '${id}' does not exist`);
    return storage;
  }

  volume(id: string): Volume | undefined {
    return this.#volumes.get(id);
  }

  add(volume: Volume): void {
    this.#volumes.set(volume.id, volume);
  }

  free(id: string): void {
    this.#volumes.delete(id);
  }

  /** The kind of content a volume id names ("images", "iso", …) and its owner; dies when the name makes no sense. */
  parseName(volumeId: string): { readonly content: string; readonly vmid: number | undefined; readonly storage: Storage } {
    const [storageId = "", name = ""] = splitVolumeId(volumeId);
    const storage = this.need(storageId);
    const content = OTHER_CONTENT.exec(name)?.[1];
    if (content !== undefined) return { content, vmid: undefined, storage };
    const owner = (storage.isFileBased ? DIRECTORY_VOLUME : BLOCK_VOLUME).exec(name)?.[1];
    if (owner === undefined) throw Died.because(`unable to parse ${storage.isFileBased ? "directory" : storage.type} volume name '${name}'`);
    return { content: "images", vmid: Number(owner), storage };
  }

  /** Makes a volume with the lowest free number for this guest. */
  allocate(request: { readonly storage: Storage; readonly vmid: number; readonly sizeBytes: number; readonly format: string; readonly content: string; readonly now: number }): Volume {
    const { storage, vmid, format } = request;
    const nameOf = (index: number): string =>
      storage.isFileBased ? `${storage.id}:${vmid}/vm-${vmid}-disk-${index}.${format}` : `${storage.id}:vm-${vmid}-disk-${index}`;
    const taken = new Set([...this.#volumes.keys()].map((id) => id.replace(/\.\w+$/, "")));
    let index = 0;
    while (taken.has(nameOf(index).replace(/\.\w+$/, ""))) index++;
    const volume: Volume = { id: nameOf(index), vmid, sizeBytes: request.sizeBytes, format, content: request.content, createdAt: request.now };
    this.add(volume);
    return volume;
  }

  /** Takes over the volumes that a guest's file refers to, as they were there before the simulation began. */
  adopt(kind: "qemu" | "lxc", vmid: number, key: string, value: string, now: number): void {
    const format = kind === "qemu" ? CONFIG_SCHEMAS.qemu["scsi[n]"]?.format : CONFIG_SCHEMAS.lxc["mp[n]"]?.format;
    const parsed = typeof format === "object" ? parsePropertyString(format, key === "rootfs" ? `${value},mp=/` : value) : undefined;
    const id = parsed?.ok === true ? (parsed.values.get("file") ?? parsed.values.get("volume")) : value.split(",")[0];
    if (id === undefined || !/^[^/:]+:.+/.test(id) || this.#storages.get(splitVolumeId(id)[0]) === undefined) return;
    const size = /(?:^|,)size=([^,]+)/.exec(value)?.[1];
    const name = splitVolumeId(id)[1];
    const owner = /^(?:(\d+)\/)?(?:vm|base)-(\d+)-/.exec(name)?.[2];
    const extension = /\.(raw|qcow2|vmdk)$/.exec(name)?.[1];
    this.add({
      id,
      vmid: Number(owner ?? vmid),
      sizeBytes: size === undefined ? GIB_BYTES : (parseSize(size) ?? GIB_BYTES),
      format: extension ?? "raw",
      content: OTHER_CONTENT.exec(name)?.[1] ?? (kind === "lxc" ? "rootdir" : "images"),
      createdAt: now,
    });
  }
}

/** "local:102/x.qcow2" → ["local", "102/x.qcow2"]. */
export function splitVolumeId(id: string): [string, string] {
  const colon = id.indexOf(":");
  return [id.slice(0, colon), id.slice(colon + 1)];
}

function parseStorageConfig(text: string): Storage[] {
  const storages: Storage[] = [];
  for (const block of text.split(/\n(?=\w+:)/)) {
    const [, type = "", id = ""] = /^(\w+):\s*(\S+)/.exec(block) ?? [];
    if (id === "") continue;
    const setting = (name: string): string | undefined => new RegExp(`^\\s+${name}\\s+(\\S.*)$`, "m").exec(block)?.[1]?.trim();
    storages.push({
      id,
      type,
      content: new Set((setting("content") ?? "images,rootdir").split(",")),
      isFileBased: FILE_BASED.has(type),
      path: setting("path") ?? `/mnt/pve/${id}`,
    });
  }
  return storages;
}
