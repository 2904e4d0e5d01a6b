import { timingSafeEqual } from "node:crypto";
import type { ApiAnswer, ApiCall, Caller } from "../api.ts";
import { listPermissions, privilegesOn, type PathPrivileges, type Subject } from "./permissions.ts";
import { parseTokenSecrets, parseUserConfig, type UserConfig } from "./user-config.ts";

/**
 * Authentication by API token and the answers of /access. Promises what a real host does: the header is
 * read as loosely as Proxmox reads it, and a refusal never says why. Leaves the delay of a refusal to
 * the HTTP side and every permission check of an API method to the host. Logins by ticket are not
 * simulated: the agent has none.
 */

type Authentication =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly reason: "No ticket" | "Authentication failed!" };

export interface AccessControl {
  /** Checks an Authorization header (undefined: none sent) at wall-clock time `nowMs`. */
  authenticate(header: string | undefined, nowMs: number): Authentication;
  /** Answers a call below /access, undefined for what is not simulated. */
  handle(call: ApiCall): ApiAnswer | undefined;
  /** "user@realm!name" → its secret. */
  readonly secrets: ReadonlyMap<string, string>;
}

/** From the texts of user.cfg and priv/token.cfg; throws where they are not understood. */
export function createAccessControl(userConfigText: string, tokenConfigText: string): AccessControl {
  const config = parseUserConfig(userConfigText);
  const secrets = parseTokenSecrets(tokenConfigText);
  return {
    authenticate: (header, nowMs) => authenticate(config, secrets, header, nowMs),
    handle: (call) => handle(config, call),
    secrets,
  };
}

/** "PVEAPIToken" is case-sensitive and followed by "=" or a space, as a real host takes it. */
const HEADER_PATTERN = /(?:^|\s)PVEAPIToken[= ]([^;]*)/;
const TOKEN_PATTERN = /^([^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+)!([A-Za-z][A-Za-z0-9.\-_]+)=(.+)$/;

function authenticate(
  config: UserConfig,
  secrets: ReadonlyMap<string, string>,
  header: string | undefined,
  nowMs: number,
): Authentication {
  const value = HEADER_PATTERN.exec(header ?? "")?.[1];
  if (value === undefined || value === "") return { ok: false, reason: "No ticket" };
  const [, user = "", tokenId = "", secret = ""] = TOKEN_PATTERN.exec(value) ?? [];
  const expected = secrets.get(`${user}!${tokenId}`);
  const isGood = expected !== undefined && isSame(expected, secret) && isValid(config, { user, tokenId }, nowMs);
  return isGood ? { ok: true, caller: makeCaller(config, { user, tokenId }) } : { ok: false, reason: "Authentication failed!" };
}

function isValid(config: UserConfig, subject: Subject, nowMs: number): boolean {
  const user = config.users.get(subject.user);
  const token = config.tokens.get(`${subject.user}!${subject.tokenId}`);
  if (user === undefined || token === undefined || !user.isEnabled) return false;
  const isExpired = (at: number): boolean => at !== 0 && at * 1000 <= nowMs;
  return !isExpired(user.expiresAt) && !isExpired(token.expiresAt);
}

function isSame(expected: string, given: string): boolean {
  const [left, right] = [Buffer.from(expected), Buffer.from(given)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function makeCaller(config: UserConfig, subject: Subject): Caller {
  const known = new Map<string, PathPrivileges>();
  const on = (path: string): PathPrivileges => {
    const privileges = known.get(path) ?? privilegesOn(config, subject, path);
    known.set(path, privileges);
    return privileges;
  };
  return {
    user: subject.user,
    tokenId: subject.tokenId,
    isRootLogin: subject.user === "root@pam" && subject.tokenId === undefined,
    can: (path, privilege) => on(path).has(privilege),
  };
}

function handle(config: UserConfig, call: ApiCall): ApiAnswer | undefined {
  if (call.method !== "GET" || call.segments.join("/") !== "access/permissions") return undefined;
  const strange = Object.keys(call.parameters).find((key) => key !== "path");
  if (strange !== undefined) {
    return badParameter(strange, "property is not defined in schema and the schema does not allow additional properties");
  }
  const { path } = call.parameters;
  const { user, tokenId } = call.caller;
  if (path === undefined) {
    const rows = [...listPermissions(config, { user, tokenId })].map(([at, privileges]) => [at, flags(privileges)]);
    return { status: 200, data: Object.fromEntries(rows), isProxied: false };
  }
  if (typeof path !== "string" || !path.startsWith("/")) return badParameter("path", "invalid format - value does not look like a valid path\n");
  return { status: 200, data: { [path]: flags(privilegesOn(config, { user, tokenId }, path)) }, isProxied: false };
}

function flags(privileges: PathPrivileges): Record<string, number> {
  return Object.fromEntries([...privileges].map(([privilege, propagates]) => [privilege, propagates ? 1 : 0]));
}

function badParameter(name: string, message: string): ApiAnswer {
  return { status: 400, reason: "Parameter verification failed.", errors: { [name]: message }, hasBody: true, isProxied: false };
}
