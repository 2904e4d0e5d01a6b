import type { DeclaredValue } from "../guest/declared.ts";
import { nearestName } from "../document/nearest.ts";
import { GUEST_KINDS, type GuestKind } from "../guest/key.ts";
import { checkValue } from "./check-value.ts";
import { countOf, keyNames, parameterOf } from "./lookup.ts";

/**
 * This room holds Proxmox's own parameter schema and judges declared config by it, before anything is
 * planned. Pure. Promises: a key that Proxmox does not have is refused with the nearest one it has; a
 * value is refused only when Proxmox certainly refuses it. It leaves to normalize/ what values mean, to
 * gate/ what may be written, and to the host the last word.
 */
export interface ConfigProblem {
  readonly key: string;
  /** The sub-key that is meant, when the value is a map or has sub-keys. */
  readonly subKey?: string;
  /** Where to point: at the name or at the value. */
  readonly at: "key" | "value";
  readonly expected: string;
  /** Quoted and bounded; "text" where the value may be a secret. */
  readonly found: string;
  readonly advice: string;
}

/** Found values are quoted up to here; longer ones are cut. */
const QUOTED_LENGTH_MAX = 40;

/** Values that may hold passwords: never shown. */
const SECRET_KEYS: ReadonlySet<string> = new Set(["args", "cipassword", "env"]);

/** The problems of one guest's declared config, in the order of its keys; of nonsense the first `problemsMax` and a few. */
export function checkConfig(kind: GuestKind, config: Readonly<Record<string, DeclaredValue>>, problemsMax = Number.POSITIVE_INFINITY): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const key of Object.keys(config)) {
    problems.push(...checkEntry(kind, key, config[key] ?? null));
    if (problems.length >= problemsMax) break;
  }
  return problems;
}

/** Every problem of one declared key and its value. */
export function checkEntry(kind: GuestKind, key: string, value: DeclaredValue): readonly ConfigProblem[] {
  const parameter = parameterOf(kind, key);
  if (parameter === undefined) return [unknownKey(kind, key)];
  return checkValue(parameter, value).map(({ subKey, isUnknownSubKey, expected, found, advice = "" }) => ({
    key,
    ...(subKey === undefined ? {} : { subKey }),
    at: isUnknownSubKey === true ? "key" : "value",
    expected,
    found: SECRET_KEYS.has(key) ? "something else" : quoted(found),
    advice,
  }));
}

/** What check-value.ts says in its own words; nothing a file can hold that looks alike is longer. */
const DESCRIBED = /^(?:a list of \d+|a map|\d+ characters|`[^`]{1,71}`(?: twice)?)$/;

function quoted(found: string): string {
  const text = found.length > QUOTED_LENGTH_MAX ? `${found.slice(0, QUOTED_LENGTH_MAX)}…` : found;
  return DESCRIBED.test(found) ? found : JSON.stringify(text);
}

/** What people write who know another tool's name for it. */
const OTHER_NAMES: Readonly<Record<string, string>> = { cpus: "cores", disk: "scsi0", mem: "memory", notes: "description", ram: "memory", ssh_keys: "sshkeys", vcpu: "cores" };

/** Keys that Proxmox writes itself and that its API does not take. */
const SERVER_OWNED: ReadonlySet<string> = new Set([
  "digest", "meta", "parent", "pending", "runningcpu", "runningmachine", "running-nets-host-mtu", "snapshots", "snapstate", "snaptime", "vmstate",
]);

/** `lxc.apparmor.profile` and its like, or `lxc` as Proxmox lists them: no request sets them, and where a guest is read they are not told (docs/proxmox.md row 80). */
const RAW_LINE = /^lxc(?:\.|$)/;
const RAW_LINE_ADVICE = "raw lxc lines cannot be set over Proxmox's API; keep them in /etc/pve/lxc/VMID.conf on the host, where the agent leaves them alone, and remove this";

/** A guest's own fields: a level of indentation too much puts them among Proxmox's keys. */
const GUEST_FIELDS: ReadonlySet<string> = new Set(["config", "kind", "mode", "state", "vmid"]);

/** What to do about a name that cannot be a key at all (`lxc.idmap`, `Net0`, `net[0]`); empty when nothing is close. */
export function adviceForName(name: string): string {
  if (RAW_LINE.test(name)) return RAW_LINE_ADVICE;
  const meant = keyMeantBy(name);
  return meant === undefined ? "" : `did you mean \`${meant}\`?`;
}

function keyMeantBy(name: string): string | undefined {
  const plain = name.toLowerCase().replace(/\[n?\]$/, "0").replace(/\[(\d{1,3})\]$/, "$1");
  const number = /\d+$/.exec(plain)?.[0] ?? "0";
  const names = new Set(GUEST_KINDS.flatMap((kind) => keyNames(kind, number)));
  return names.has(plain) ? plain : nearestName(plain, names);
}

function unknownKey(kind: GuestKind, key: string): ConfigProblem {
  const problem = { key, at: "key", expected: `a key that Proxmox has for ${kind} guests`, found: "an unknown one" } as const;
  return { ...problem, advice: adviceFor(kind, key) };
}

function adviceFor(kind: GuestKind, key: string): string {
  if (RAW_LINE.test(key)) return RAW_LINE_ADVICE;
  if (SERVER_OWNED.has(key)) return "Proxmox writes it itself; remove it";
  if (GUEST_FIELDS.has(key)) return `\`${key}\` stands beside \`config\`, not in it; indent it less`;
  const [, stem = key, number = ""] = /^(.*?)(\d*)$/.exec(key) ?? [];
  const count = countOf(kind, stem);
  if (count !== undefined) return number === "" ? `write a number behind it: \`${stem}0\` to \`${stem}${count - 1}\`` : `there are \`${stem}0\` to \`${stem}${count - 1}\``;
  const other = kind === "qemu" ? "lxc" : "qemu";
  const counterpart = COUNTERPARTS[kind][key];
  if (parameterOf(other, key) !== undefined) return `only ${other} guests have it${counterpart === undefined ? "; remove it, or correct `kind`" : `; did you mean \`${counterpart}\`?`}`;
  const nearest = OTHER_NAMES[key] ?? nearestName(key, keyNames(kind, number === "" ? "0" : number));
  return nearest === undefined ? "docs/desired-state.md says which keys there are; remove it" : `did you mean \`${nearest}\`?`;
}

/** The same thing under the other kind's name. */
const COUNTERPARTS: Readonly<Record<GuestKind, Readonly<Record<string, string>>>> = {
  qemu: { hostname: "name", rootfs: "scsi0", mp0: "scsi1" },
  lxc: { name: "hostname", sockets: "cores", scsi0: "rootfs" },
};
