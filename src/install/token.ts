import * as v from "valibot";
import { fault, ok, type Result } from "../ports/errors.ts";
import { done, idsOf } from "./accounts.ts";
import { TOKEN_FILE } from "./layout.ts";
import { PROXMOX_USER, PVEUM, pveumLine, pveumLines, roleGrants, TOKEN_ID, TOKEN_NAME, type RoleGrant } from "./privileges.ts";
import { runOrFail, type Programs } from "./programs.ts";
import { keep, type Step } from "./step.ts";
import type { Tree } from "./tree.ts";

/** What pveum prints with --output-format json; fields that are not used are not looked at. */
const RolesSchema = v.array(v.looseObject({ roleid: v.string(), privs: v.optional(v.string(), "") }));
const UsersSchema = v.array(v.looseObject({ userid: v.string() }));
const GrantsSchema = v.array(v.looseObject({ path: v.string(), roleid: v.string(), ugid: v.string(), propagate: v.optional(v.union([v.number(), v.string()]), 1) }));
const TokensSchema = v.array(v.looseObject({ tokenid: v.string() }));
const NewTokenSchema = v.looseObject({ value: v.pipe(v.string(), v.regex(/^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/)) });

const TOKEN_MODE = 0o600;

/** Makes roles, user, grants and token on this host, each unless it is there. Asking what is there changes nothing. */
export function tokenSteps(tree: Tree, programs: Programs): Result<readonly Step[]> {
  if (programs.find("pveum") === undefined) {
    return fault("install.failed", "expected pveum, Proxmox VE's user manager, on this machine for --create-token, found none; run the commands below on the host and put the token into the file yourself:\n" + manualText());
  }
  const roles = ask(programs, ["role", "list"], RolesSchema);
  const users = ask(programs, ["user", "list"], UsersSchema);
  const grants = ask(programs, ["acl", "list"], GrantsSchema);
  if (!roles.ok) return roles;
  if (!users.ok) return users;
  if (!grants.ok) return grants;
  const hasUser = users.value.some(({ userid }) => userid === PROXMOX_USER);
  const token = tokenStep(tree, programs, hasUser);
  if (!token.ok) return token;
  const isGranted = (grant: RoleGrant): boolean => grants.value.some(({ path, roleid, ugid, propagate }) => path === grant.path && roleid === grant.role && ugid === PROXMOX_USER && String(propagate) !== "0");
  return ok([
    ...roleGrants().map((grant) => roleStep(programs, grant, roles.value.find(({ roleid }) => roleid === grant.role)?.privs)),
    hasUser ? keep(`Proxmox user ${PROXMOX_USER}`) : call(programs, PVEUM.addUser()),
    ...roleGrants().map((grant) => (isGranted(grant) ? keep(`role ${grant.role} on ${grant.path}`) : call(programs, PVEUM.grant(grant)))),
    token.value,
  ]);
}

/** A role that has more is somebody's decision; one that has less is completed. */
function roleStep(programs: Programs, grant: RoleGrant, found: string | undefined): Step {
  if (found === undefined) return call(programs, PVEUM.addRole(grant));
  const present = new Set(found.split(/[\s,]+/));
  const missing = grant.privileges.filter((privilege) => !present.has(privilege));
  return missing.length === 0 ? keep(`role ${grant.role}`) : call(programs, PVEUM.extendRole(grant.role, missing));
}

function call(programs: Programs, words: readonly string[]): Step {
  return { verb: "run", what: pveumLine(words), detail: "", apply: () => done(runOrFail(programs, "pveum", words)) };
}

function tokenStep(tree: Tree, programs: Programs, hasUser: boolean): Result<Step> {
  const tokens = hasUser ? ask(programs, ["user", "token", "list", PROXMOX_USER], TokensSchema) : ok([]);
  if (!tokens.ok) return tokens;
  const isThere = tokens.value.some(({ tokenid }) => tokenid === TOKEN_NAME);
  const written = tree.readText(TOKEN_FILE);
  // A file with this token's name but without such a token holds a secret that is worth nothing.
  const isStale = written?.startsWith(`${TOKEN_ID}=`) === true && !isThere;
  if (written !== undefined && !isStale) return ok(keep(TOKEN_FILE, "is there; its token is used"));
  if (isThere) {
    return fault("install.failed", `the token ${TOKEN_ID} exists, but its secret is not in ${TOKEN_FILE}, and Proxmox shows it only once: ${pveumLine(PVEUM.removeToken())}, then install again, or write the secret there yourself`);
  }
  return ok({ verb: "run", what: pveumLine(PVEUM.addToken()), detail: `its secret goes into ${TOKEN_FILE}, 0600 steward:steward, and nowhere else`, apply: () => makeToken(tree, programs) });
}

/** Makes the token and writes it down. When it cannot be written it is taken back: nobody will ever know its secret. */
function makeToken(tree: Tree, programs: Programs): Result<void> {
  const printed = runOrFail(programs, "pveum", [...PVEUM.addToken(), "--output-format", "json"]);
  if (!printed.ok) return printed;
  const secret = secretOf(printed.value);
  const written = secret === undefined ? fault("install.failed", "pveum's answer holds no token where one was expected (not shown: it may hold the secret)") : writeToken(tree, secret);
  if (written.ok) return written;
  const taken = runOrFail(programs, "pveum", PVEUM.removeToken());
  const after = taken.ok ? "the new token was taken back" : `the new token is left over, remove it: ${pveumLine(PVEUM.removeToken())}`;
  return fault("install.failed", `${written.error.message}; ${after}`);
}

function secretOf(printed: string): string | undefined {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), NewTokenSchema), printed);
  return parsed.success ? parsed.output.value : undefined;
}

function writeToken(tree: Tree, secret: string): Result<void> {
  try {
    const ids = idsOf(tree, "steward:steward");
    if (ids === undefined) return fault("install.failed", "expected the user steward to exist before its token is written");
    tree.write(TOKEN_FILE, `${TOKEN_ID}=${secret}\n`, TOKEN_MODE, ids);
    return ok(undefined);
  } catch (error) {
    return fault("install.failed", `cannot write ${TOKEN_FILE}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function ask<T extends v.GenericSchema>(programs: Programs, words: readonly string[], schema: T): Result<v.InferOutput<T>> {
  const printed = runOrFail(programs, "pveum", [...words, "--output-format", "json"]);
  if (!printed.ok) return printed;
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), printed.value);
  return parsed.success ? ok(parsed.output) : fault("install.failed", `${pveumLine(words)}: expected a JSON list as Proxmox VE 8 and 9 print it, found something else: ${parsed.issues[0].message}`);
}

/** The commands for whoever runs them by hand, the file's owner and mode included. */
export function manualText(): string {
  const lines = [...pveumLines(), `install -m 600 -o steward -g steward /dev/null ${TOKEN_FILE}`, `echo '${TOKEN_ID}=THE-SECRET' > ${TOKEN_FILE}`];
  return lines.map((line) => `  ${line}\n`).join("");
}
