import { BRIDGES, needsOfKey, type Need } from "../doctor/privileges.ts";
import { allowedKeys } from "../gate/allow-list.ts";
import { GUEST_KINDS } from "../guest/key.ts";

/** The Proxmox user and the token the agent uses. */
export const PROXMOX_USER = "steward@pve";
export const TOKEN_NAME = "agent";
export const TOKEN_ID = `${PROXMOX_USER}!${TOKEN_NAME}`;

/** A role, with the path it is given on. */
export interface RoleGrant {
  readonly role: string;
  readonly privileges: readonly string[];
  readonly path: string;
}

/** Seeing guests; starting and asking them to shut down. */
const GUEST_BASICS = ["VM.Audit", "VM.PowerMgmt"];

/**
 * Not asked for, though the gate lets a key through that needs it (`boot`, `startup` of a VM): the first
 * is the right to change disks, the second the right to change the host. docs/installing.md says so.
 */
export const WITHHELD_PRIVILEGES: ReadonlySet<string> = new Set(["VM.Config.Disk", "Sys.Modify"]);

/** A guest's number stands in the paths of needs; any will do. */
const ANY_VMID = 100;
const ANY_NIC = "virtio,bridge=vmbr0";
/** The first of numbered keys stands for all of them. */
const ANY_INDEX = "0";

/** The fewest privileges with which everything the gate lets through can be sent, less what is withheld. */
export function roleGrants(): readonly RoleGrant[] {
  const needs = GUEST_KINDS.flatMap((kind) => allowedKeys(kind).flatMap(([key]) => needsOf(kind, key)));
  const onGuests = new Set(GUEST_BASICS);
  const single = needs.filter(({ path, anyOf }) => path.startsWith("/vms/") && anyOf.length === 1);
  for (const { anyOf } of single) for (const privilege of anyOf) if (!WITHHELD_PRIVILEGES.has(privilege)) onGuests.add(privilege);
  for (const { path, anyOf } of needs) {
    const isMet = !path.startsWith("/vms/") || anyOf.some((privilege) => onGuests.has(privilege) || WITHHELD_PRIVILEGES.has(privilege));
    if (!isMet) onGuests.add(anyOf[0] ?? "");
  }
  const onBridges = new Set(needs.filter(({ path }) => path.startsWith(BRIDGES)).flatMap(({ anyOf }) => anyOf));
  return [
    { role: "Steward", privileges: [...onGuests].sort(), path: "/vms" },
    // Quorum, tag style, HA resources, and other people's tasks on the node.
    { role: "StewardHost", privileges: ["Sys.Audit"], path: "/" },
    { role: "StewardNet", privileges: [...onBridges].sort(), path: BRIDGES },
  ];
}

function needsOf(kind: (typeof GUEST_KINDS)[number], key: string): readonly Need[] {
  const needed = needsOfKey(kind, ANY_VMID, key.replace("[n]", ANY_INDEX), key === "net[n]" ? ANY_NIC : "1");
  return needed.type === "privileges" ? needed.needs : [];
}

/** Arguments of pveum that make a role, the user, a grant, the token. */
export const PVEUM = {
  addRole: ({ role, privileges }: RoleGrant): readonly string[] => ["role", "add", role, "--privs", privileges.join(" ")],
  extendRole: (role: string, missing: readonly string[]): readonly string[] => ["role", "modify", role, "--append", "1", "--privs", missing.join(" ")],
  addUser: (): readonly string[] => ["user", "add", PROXMOX_USER, "--comment", "keeps guests as declared"],
  grant: ({ role, path }: RoleGrant): readonly string[] => ["acl", "modify", path, "--users", PROXMOX_USER, "--roles", role],
  addToken: (): readonly string[] => ["user", "token", "add", PROXMOX_USER, TOKEN_NAME, "--privsep", "0"],
  removeToken: (): readonly string[] => ["user", "token", "remove", PROXMOX_USER, TOKEN_NAME],
} as const;

/** All of it as lines for a shell, in the order they are run. */
export function pveumLines(): readonly string[] {
  const grants = roleGrants();
  return [...grants.map(PVEUM.addRole), PVEUM.addUser(), ...grants.map(PVEUM.grant), PVEUM.addToken()].map(pveumLine);
}

/** What takes all of it away again. */
export function pveumRemovalLines(): readonly string[] {
  return [["user", "delete", PROXMOX_USER], ...roleGrants().map(({ role }) => ["role", "delete", role])].map(pveumLine);
}

/** One call as a person would type it. */
export function pveumLine(words: readonly string[]): string {
  return ["pveum", ...words.map((word) => (/^[\w@/.,:=+-]+$/.test(word) ? word : `"${word}"`))].join(" ");
}
