import fc from "fast-check";
import type { DesiredGuest } from "../../src/desired/model.ts";
import type { DeclaredValue } from "../../src/guest/declared.ts";
import type { PveVersion, TagStyle } from "../../src/guest/host-facts.ts";
import type { GuestKind } from "../../src/guest/key.ts";
import { encodeText } from "../../src/simulator/host/text.ts";
import { generatedKeys } from "./generated-fields.ts";
import type { FieldSituation } from "./generated-values.ts";
import { desiredGuest } from "./guests.ts";

/**
 * Guests for the laws: both kinds, any of Proxmox's keys in any spelling that a host keeps, values and
 * deletions that are pending, snapshots, locks and templates; and a declaration of any of the keys.
 */
export interface GeneratedGuest {
  readonly kind: GuestKind;
  readonly isRunning: boolean;
  readonly pveVersion: PveVersion;
  readonly tagStyle: TagStyle;
  readonly fields: readonly GeneratedField[];
  /** Lines that only Proxmox and its operators write. */
  readonly ownLines: readonly string[];
  readonly hasSnapshot: boolean;
  /** Keys of a release that is not known here, as a later host would tell them. */
  readonly unknown: Readonly<Record<string, string | number>>;
}

export interface GeneratedField extends FieldSituation {
  readonly key: string;
  /**
   * How what the guest has is there: in force; pending over another value; pending over nothing; in force and
   * about to be deleted.
   */
  readonly standing: "in force" | "pending over another" | "pending" | "about to go";
}

const VERSIONS: readonly PveVersion[] = [{ major: 9, minor: 2, patch: 11 }, { major: 9, minor: 0, patch: 3 }, { major: 8, minor: 4, patch: 14 }];
const TAG_STYLES: readonly TagStyle[] = [
  { isOrdered: false, isCaseSensitive: false }, { isOrdered: false, isCaseSensitive: true }, { isOrdered: true, isCaseSensitive: false }, { isOrdered: true, isCaseSensitive: true },
];

const OWN_LINES: Readonly<Record<GuestKind, readonly string[]>> = {
  qemu: ["meta: creation-qemu=10.0.13,ctime=1790000000", "parent: before", "runningmachine: pc-q35-9.2+pve1"],
  lxc: ["lxc.apparmor.profile: unconfined", "lxc.mount.entry: /a b none bind", "future_option: 1"],
};
const UNKNOWN_KEYS = { "future-key": "a=1,b", future_flag: 1, net99: "virtio=BC:24:11:00:00:99,bridge=vmbr0", "running-something": " " } as const;

/** Fields whose values depend on each other come up more often. */
const COMPANY: Readonly<Record<GuestKind, readonly string[]>> = {
  qemu: ["memory", "balloon", "cores", "sockets", "vcpus", "boot", "bootdisk", "net0", "scsi0", "ide2", "ostype", "localtime", "hotplug", "description", "tags", "agent", "cpuunits", "startup", "sshkeys", "ipconfig0", "vga", "cpu", "name", "smp"],
  lxc: ["memory", "swap", "cores", "net0", "net1", "description", "tags", "hostname", "nameserver", "searchdomain", "cpuunits", "startup", "tty", "timezone", "cmode"],
};
const COMPANY_WEIGHT = 6;

const STANDINGS: fc.Arbitrary<GeneratedField["standing"]> = fc.oneof({ weight: 8, arbitrary: fc.constant("in force" as const) }, { weight: 1, arbitrary: fc.constantFrom("pending over another" as const, "pending" as const, "about to go" as const) });

const FIELD: Readonly<Record<GuestKind, fc.Arbitrary<GeneratedField>>> = { qemu: fieldOf("qemu"), lxc: fieldOf("lxc") };
/** More fields than this make a counterexample hard to read and find no more. */
const FIELDS_MAX = 10;

function fieldOf(kind: GuestKind): fc.Arbitrary<GeneratedField> {
  const keys = generatedKeys(kind);
  return fc.oneof(...keys.map(({ key, situation }) => ({
    weight: COMPANY[kind].includes(key) ? COMPANY_WEIGHT : 1,
    arbitrary: fc.tuple(situation, STANDINGS).map(([field, standing]): GeneratedField => {
      const isGone = standing === "about to go" && field.found !== undefined;
      // What is about to go is absent in the view that counts.
      return { ...field, key, standing, isEqual: isGone ? field.declared === null : field.isEqual };
    }),
  })));
}

function guestOf(kind: GuestKind): fc.Arbitrary<GeneratedGuest> {
  return fc.record({
    kind: fc.constant(kind),
    isRunning: fc.boolean(),
    pveVersion: fc.constantFrom(...VERSIONS),
    tagStyle: fc.constantFrom(...TAG_STYLES),
    fields: fc.uniqueArray(FIELD[kind], { selector: storedKeyOf, minLength: 1, maxLength: FIELDS_MAX, size: "max" }),
    ownLines: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.subarray([...OWN_LINES[kind]]) }, { weight: 1, arbitrary: fc.constantFrom(["lock: backup"], ["template: 1"]) }),
    hasSnapshot: fc.constantFrom(false, false, false, false, true),
    unknown: fc.subarray(Object.entries(UNKNOWN_KEYS), { maxLength: 2 }).map((entries) => Object.fromEntries(entries)),
  });
}

/** `cdrom` and `ide2` are one key (row 39). */
function storedKeyOf({ key }: { readonly key: string }): string {
  return key === "cdrom" ? "ide2" : key;
}

/** Any guest and any declaration over it. */
export const GENERATED_GUEST: fc.Arbitrary<GeneratedGuest> = fc.oneof({ weight: 2, arbitrary: guestOf("qemu") }, { weight: 1, arbitrary: guestOf("lxc") });


function line(key: string, value: string): string {
  if (key !== "description") return `${key}: ${value}\n`;
  return value.replace(/\n$/, "").split("\n").map((text) => `#${encodeText(text)}\n`).join("");
}

/** The guest's file as it lies in /etc/pve. */
export function configTextOf(guest: GeneratedGuest): string {
  const { kind, fields, ownLines, hasSnapshot } = guest;
  const there = fields.flatMap(({ key, found, other, standing }) => (found === undefined ? [] : [{ key, found, other, standing }]));
  const inForce = there.filter(({ standing }) => standing !== "pending").map(({ key, found, other, standing }) => line(key, standing === "pending over another" ? other : found));
  const pending = there.filter(({ standing }) => standing === "pending" || standing === "pending over another").map(({ key, found }) => line(key, found));
  const going = there.filter(({ standing }) => standing === "about to go").map(storedKeyOf);
  const main = [...inForce, ...ownLines.map((own) => `${own}\n`)].join("");
  const waiting = [...pending, ...(going.length === 0 ? [] : [`delete: ${going.join(",")}\n`])].join("");
  const section = kind === "qemu" ? "[PENDING]" : "[pve:pending]";
  const snapshot = `\n[before]\n${line("cores", "1")}snaptime: 1790000000\n`;
  return `${main}${waiting === "" ? "" : `\n${section}\n${waiting}`}${hasSnapshot ? snapshot : ""}`;
}

/** What is declared of it. */
function declaredOf(guest: GeneratedGuest): Readonly<Record<string, DeclaredValue>> {
  return Object.fromEntries(guest.fields.flatMap(({ key, declared }) => (declared === undefined ? [] : [[key, declared] as const])));
}

export function desiredOf(guest: GeneratedGuest, vmid: number): DesiredGuest {
  return desiredGuest({ kind: guest.kind, vmid, config: declaredOf(guest) });
}
