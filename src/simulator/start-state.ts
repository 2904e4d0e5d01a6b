import { VMID_MIN } from "../guest/key.ts";
import type { Random } from "../ports/random.ts";
import { parseUserConfig } from "./access/user-config.ts";
import type { StartState } from "./api.ts";

/**
 * A host to start from: N guests made from a seed, the same ones for the same seed, or files that were
 * given. Guests cover both kinds, with and without disks, tags, descriptions and start order; most run.
 */

export interface GeneratedHost {
  readonly startState: StartState;
  /** Guests to start, in order. */
  readonly running: readonly number[];
}

/** Where a host keeps its users, and the secrets of their tokens. */
export const USER_CONFIG_PATH = "/etc/pve/user.cfg";
export const TOKEN_CONFIG_PATH = "/etc/pve/priv/token.cfg";
/** The agent's token, without privilege separation: what it needs to be root but for the root-only options. */
const DEFAULT_USERS = "user:root@pam:1:0:::root@localhost::::\ntoken:root@pam!agent:0:0::\n";
const DEFAULT_FILES: Readonly<Record<string, string>> = {
  "/etc/pve/datacenter.cfg": "keyboard: en-us\n",
  "/etc/pve/storage.cfg": "dir: local\n\tpath /var/lib/vz\n\tcontent images,iso,vztmpl,backup,rootdir,snippets,import\n\n",
  [USER_CONFIG_PATH]: DEFAULT_USERS,
};

const ROLES = ["web", "db", "cache", "mail", "dns", "build", "proxy", "files"] as const;
const SYSTEMS = ["debian", "ubuntu", "alpine"] as const;
/** Every fourth guest is a container, every tenth has no disk, seven of ten run. */
const CONTAINER_EVERY = 4;
const DISKLESS_EVERY = 10;
const RUNNING_SHARE = 0.7;
/** Creation times of generated guests lie in the year after this (seconds since the epoch). */
const CREATED_AFTER_SECONDS = 1_750_000_000;
const YEAR_SECONDS = 31_536_000;

/** `count` guests numbered from 100 on node `nodeName`. */
export function generateHost(nodeName: string, count: number, seed: number): GeneratedHost {
  const draw = seededFractions(seed);
  const files = new Map(Object.entries(DEFAULT_FILES));
  const running: number[] = [];
  for (let index = 0; index < count; index++) {
    const vmid = VMID_MIN + index;
    const isContainer = index % CONTAINER_EVERY === CONTAINER_EVERY - 1;
    const folder = isContainer ? "lxc" : "qemu-server";
    const keys = isContainer ? containerKeys(vmid, index, draw) : machineKeys(vmid, index, draw);
    files.set(`/etc/pve/nodes/${nodeName}/${folder}/${vmid}.conf`, formatConfig(describe(index), keys));
    if (draw() < RUNNING_SHARE) running.push(vmid);
  }
  return { startState: { files: Object.fromEntries(files) }, running };
}

/** Adds what a start state may leave out: users, and a secret for every token that has none. */
export function completeStartState(startState: StartState, random: Random): StartState {
  const files = { ...DEFAULT_FILES, ...startState.files };
  const given = files[TOKEN_CONFIG_PATH] ?? "";
  const tokens = [...parseUserConfig(files[USER_CONFIG_PATH] ?? "").tokens.keys()];
  const missing = tokens.filter((id) => !given.split("\n").some((line) => line.startsWith(`${id} `)));
  const added = missing.map((id) => `${id} ${uuid(random.bytes(16))}\n`);
  return { ...startState, files: { ...files, [TOKEN_CONFIG_PATH]: given + added.join("") } };
}

type Keys = Readonly<Record<string, string | number>>;

function machineKeys(vmid: number, index: number, draw: () => number): Keys {
  const hasDisk = index % DISKLESS_EVERY !== DISKLESS_EVERY - 1;
  const disk = { scsi0: `local:${vmid}/vm-${vmid}-disk-0.qcow2,iothread=1,size=${8 + 8 * pick(draw, 4)}G` };
  return {
    boot: hasDisk ? "order=scsi0;net0" : "order=net0",
    cores: 1 + pick(draw, 4),
    memory: 512 * 2 ** pick(draw, 4),
    meta: `creation-qemu=10.0.13,ctime=${CREATED_AFTER_SECONDS + pick(draw, YEAR_SECONDS)}`,
    name: nameOf(index),
    net0: `virtio=${hardwareAddress(index, draw)},bridge=vmbr0`,
    numa: 0,
    ostype: "l26",
    scsihw: "virtio-scsi-single",
    smbios1: `uuid=${uuid(octets(draw, 16))}`,
    sockets: 1,
    vmgenid: uuid(octets(draw, 16)),
    ...(hasDisk ? disk : {}),
    ...shared(index, draw),
  };
}

function containerKeys(vmid: number, index: number, draw: () => number): Keys {
  return {
    arch: "amd64",
    cores: 1 + pick(draw, 2),
    hostname: nameOf(index),
    memory: 256 * 2 ** pick(draw, 3),
    net0: `name=eth0,bridge=vmbr0,hwaddr=${hardwareAddress(index, draw)},ip=dhcp,type=veth`,
    ostype: SYSTEMS[pick(draw, SYSTEMS.length)] ?? "debian",
    rootfs: `local:${vmid}/vm-${vmid}-disk-0.raw,size=${4 + 4 * pick(draw, 3)}G`,
    swap: 256 * pick(draw, 3),
    unprivileged: 1,
    ...shared(index, draw),
  };
}

function shared(index: number, draw: () => number): Keys {
  return {
    ...(draw() < 0.6 ? { onboot: 1 } : {}),
    ...(draw() < 0.5 ? { tags: index % 2 === 0 ? `prod;${roleOf(index)}` : "test" } : {}),
    ...(draw() < 0.2 ? { startup: `order=${1 + pick(draw, 5)},up=${10 * pick(draw, 4)}` } : {}),
  };
}

function describe(index: number): string | undefined {
  return index % 3 === 0 ? `${roleOf(index)} number ${Math.floor(index / ROLES.length) + 1}` : undefined;
}

/** Proxmox writes the description as comments on top, then the keys in order. */
function formatConfig(description: string | undefined, keys: Keys): string {
  const head = description === undefined ? [] : [`#${description}`];
  const rows = Object.entries(keys).sort(([left], [right]) => (left < right ? -1 : 1));
  return [...head, ...rows.map(([key, value]) => `${key}: ${value}`), ""].join("\n");
}

function roleOf(index: number): string {
  return ROLES[index % ROLES.length] ?? "web";
}

function nameOf(index: number): string {
  return `${roleOf(index)}-${Math.floor(index / ROLES.length) + 1}`;
}

/** Proxmox's own prefix, so that it looks like an address Proxmox made; the guest's place keeps it unique. */
function hardwareAddress(index: number, draw: () => number): string {
  const parts = [pick(draw, 256), (index >> 8) & 0xff, index & 0xff];
  const tail = parts.map((octet) => octet.toString(16).padStart(2, "0").toUpperCase());
  return `BC:24:11:${tail.join(":")}`;
}

function uuid(bytes: Uint8Array): string {
  const fixed = Uint8Array.from(bytes);
  fixed[6] = ((fixed[6] ?? 0) & 0x0f) | 0x40;
  fixed[8] = ((fixed[8] ?? 0) & 0x3f) | 0x80;
  const hex = Buffer.from(fixed).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-");
}

function octets(draw: () => number, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => pick(draw, 256));
}

function pick(draw: () => number, bound: number): number {
  return Math.floor(draw() * bound);
}

/** Tommy Ettinger's mulberry32: small, and the same guests everywhere for the same seed. */
function seededFractions(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
