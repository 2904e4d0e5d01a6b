import { ALL_PRIVILEGES, BUILT_IN_ROLES } from "./roles.ts";

/**
 * `/etc/pve/user.cfg` and `/etc/pve/priv/token.cfg` as Proxmox writes them: one colon-separated record
 * a line. A record this simulator does not know is an error: a start state that says more than is
 * simulated must not pass silently.
 */

interface User {
  readonly isEnabled: boolean;
  /** Seconds since the epoch; 0 never. */
  readonly expiresAt: number;
}

interface Token {
  readonly user: string;
  readonly expiresAt: number;
  /** The token has only what its own ACL entries give it, and never more than its user. */
  readonly isPrivilegeSeparated: boolean;
}

export interface AclEntry {
  readonly path: string;
  /** Holds below `path` too. */
  readonly propagates: boolean;
  /** "user@realm", "user@realm!token" or "@group". */
  readonly subject: string;
  readonly role: string;
}

export interface UserConfig {
  readonly users: ReadonlyMap<string, User>;
  /** By "user@realm!name". */
  readonly tokens: ReadonlyMap<string, Token>;
  /** Members by group name. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
  /** Privileges by role, the built-in ones included. */
  readonly roles: ReadonlyMap<string, readonly string[]>;
  readonly acl: readonly AclEntry[];
}

/** Parses user.cfg. Throws on a record, role or privilege it does not know, naming the line. */
export function parseUserConfig(text: string): UserConfig {
  const users = new Map<string, User>();
  const tokens = new Map<string, Token>();
  const groups = new Map<string, readonly string[]>();
  const roles = new Map<string, readonly string[]>(Object.entries(BUILT_IN_ROLES));
  const acl: AclEntry[] = [];
  for (const fields of records(text)) {
    const [kind, first = "", second = "", third = "", fourth = ""] = fields;
    if (kind === "user") users.set(first, { isEnabled: second === "1", expiresAt: Number(third) });
    else if (kind === "token") tokens.set(first, parseToken(first, second, third));
    else if (kind === "group") groups.set(first, list(second));
    else if (kind === "role") roles.set(first, list(second));
    else if (kind === "acl") acl.push(...parseAcl(second, first, third, fourth));
    else throw new Error(`user.cfg: expected user, token, group, role or acl, found "${fields.join(":")}"`);
  }
  assertKnown(roles, acl);
  return { users, tokens, groups, roles, acl };
}

/** Parses token.cfg: "user@realm!name SECRET" a line. */
export function parseTokenSecrets(text: string): ReadonlyMap<string, string> {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return new Map(
    lines.map((line): [string, string] => {
      const [id, secret] = line.trim().split(/\s+/);
      if (id === undefined || secret === undefined) throw new Error("token.cfg: expected \"user@realm!name SECRET\" on each line");
      return [id, secret];
    }),
  );
}

function records(text: string): string[][] {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.split(":"));
}

function list(text: string): string[] {
  return text.split(/[,;\s]+/).filter((item) => item !== "");
}

function parseToken(id: string, expiresAt: string, isSeparated: string): Token {
  const [user = ""] = id.split("!");
  return { user, expiresAt: Number(expiresAt), isPrivilegeSeparated: isSeparated === "1" };
}

/** "acl:PROPAGATE:PATH:SUBJECTS:ROLES:", with lists in the last two. */
function parseAcl(path: string, propagates: string, subjects: string, roles: string): AclEntry[] {
  return list(subjects).flatMap((subject) =>
    list(roles).map((role): AclEntry => ({ path, propagates: propagates === "1", subject, role })),
  );
}

function assertKnown(roles: ReadonlyMap<string, readonly string[]>, acl: readonly AclEntry[]): void {
  const known = new Set(ALL_PRIVILEGES);
  for (const [role, privileges] of roles) {
    const strange = privileges.find((privilege) => !known.has(privilege));
    if (strange !== undefined) throw new Error(`user.cfg: role ${role} has the privilege "${strange}", which Proxmox VE 9.2 does not have`);
  }
  const missing = acl.find((entry) => !roles.has(entry.role));
  if (missing !== undefined) {
    throw new Error(`user.cfg: the entry on ${missing.path} for ${missing.subject} names the role "${missing.role}", which is neither built in nor declared`);
  }
}
