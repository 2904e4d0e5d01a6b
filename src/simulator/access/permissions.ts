import { ALL_PRIVILEGES, NO_ACCESS_ROLE } from "./roles.ts";
import type { AclEntry, UserConfig } from "./user-config.ts";

/**
 * Who may do what where, as Proxmox's access control decides it: entries nearer to the path replace
 * those above it, an entry for a user goes before those of groups, a token without privilege
 * separation is its user, one with has what both it and its user have. root@pam has everything.
 */

/** A privilege with whether it propagates below the path it was asked for. */
export type PathPrivileges = ReadonlyMap<string, boolean>;

const ROOT = "root@pam";

/** Paths every listing shows where the caller has anything on them, beside those of the ACL itself. */
const LISTED_PATHS = ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"] as const;

/** Who is asked about: a user, or a token of his. */
export interface Subject {
  readonly user: string;
  /** Name of the token, undefined for the user himself. */
  readonly tokenId: string | undefined;
}

/** The privileges `subject` has on `path`. */
export function privilegesOn(config: UserConfig, subject: Subject, path: string): PathPrivileges {
  const ofUser = userPrivileges(config, subject.user, path);
  if (subject.tokenId === undefined) return ofUser;
  const id = `${subject.user}!${subject.tokenId}`;
  const token = config.tokens.get(id);
  if (token === undefined) return new Map();
  if (!token.isPrivilegeSeparated) return ofUser;
  const ofToken = expand(config, rolesOn(config, path, [{ isMatch: (name) => name === id }]));
  return new Map([...ofToken].filter(([privilege]) => ofUser.has(privilege)));
}

/** Every path worth showing with what `subject` has there: what GET /access/permissions answers. */
export function listPermissions(config: UserConfig, subject: Subject): ReadonlyMap<string, PathPrivileges> {
  const paths = new Set<string>([...LISTED_PATHS, ...config.acl.map((entry) => entry.path)]);
  const rows = [...paths].map((path) => [path, privilegesOn(config, subject, path)] as const);
  return new Map(rows.filter(([, privileges]) => privileges.size > 0));
}

function userPrivileges(config: UserConfig, user: string, path: string): PathPrivileges {
  if (user === ROOT) return new Map(ALL_PRIVILEGES.map((privilege) => [privilege, true]));
  const isMember = (subject: string): boolean =>
    subject.startsWith("@") && (config.groups.get(subject.slice(1)) ?? []).includes(user);
  return expand(config, rolesOn(config, path, [{ isMatch: (name) => name === user }, { isMatch: isMember }]));
}

interface Tier {
  isMatch(subject: string): boolean;
}

/** Roles with their propagation flag. `tiers`: at one path the first tier with an entry wins. */
function rolesOn(config: UserConfig, path: string, tiers: readonly Tier[]): ReadonlyMap<string, boolean> {
  let roles: ReadonlyMap<string, boolean> = new Map();
  for (const step of steps(path)) {
    const usable = config.acl.filter((entry) => entry.path === step && (entry.propagates || step === path));
    const found = tiers.map((tier) => usable.filter((entry) => tier.isMatch(entry.subject))).find((hits) => hits.length > 0);
    if (found !== undefined) roles = byRole(found);
  }
  return roles;
}

/** "/vms/100" → "/", "/vms", "/vms/100". */
function steps(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "");
  return ["/", ...parts.map((_, index) => `/${parts.slice(0, index + 1).join("/")}`)];
}

function byRole(entries: readonly AclEntry[]): ReadonlyMap<string, boolean> {
  return new Map(entries.map((entry) => [entry.role, entry.propagates]));
}

function expand(config: UserConfig, roles: ReadonlyMap<string, boolean>): PathPrivileges {
  if (roles.has(NO_ACCESS_ROLE)) return new Map();
  const privileges = new Map<string, boolean>();
  for (const [role, propagates] of roles) {
    for (const privilege of config.roles.get(role) ?? []) {
      privileges.set(privilege, propagates || privileges.get(privilege) === true);
    }
  }
  return privileges;
}
