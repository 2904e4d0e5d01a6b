import { fault, ok, type Result } from "../ports/errors.ts";
import { HOST_GROUP, SERVICE_USER, STATE_DIRECTORY, type Owner } from "./layout.ts";
import { runOrFail, type Programs } from "./programs.ts";
import { keep, leave, type Step } from "./step.ts";
import type { Ids, Tree } from "./tree.ts";

/** Above this, numbers are people's (login.defs, SYS_UID_MAX). */
const SYSTEM_UID_MAX = 999;

/** A user as /etc/passwd has it; undefined when it has none of that name. System users are always local. */
export function findUser(tree: Tree, name: string): Ids | undefined {
  const fields = findLine(tree, "/etc/passwd", name);
  return fields === undefined ? undefined : { uid: Number(fields[2]), gid: Number(fields[3]) };
}

interface Group {
  readonly gid: number;
  readonly members: readonly string[];
}

function findGroup(tree: Tree, name: string): Group | undefined {
  const fields = findLine(tree, "/etc/group", name);
  return fields === undefined ? undefined : { gid: Number(fields[2]), members: (fields[3] ?? "").split(",").filter((member) => member !== "") };
}

function findLine(tree: Tree, path: string, name: string): readonly string[] | undefined {
  const lines = (tree.readText(path) ?? "").split("\n");
  return lines.map((line) => line.split(":")).find(([first]) => first === name);
}

/** The numbers behind an owner; undefined while the user does not exist. */
export function idsOf(tree: Tree, owner: Owner): Ids | undefined {
  const [user, group] = owner === "root:root" ? ["root", "root"] : owner === "root:steward" ? ["root", SERVICE_USER] : [SERVICE_USER, SERVICE_USER];
  const uid = user === "root" ? 0 : findUser(tree, user)?.uid;
  const gid = group === "root" ? 0 : findGroup(tree, group)?.gid;
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

/** Makes the system user, and puts it into the group that may read Proxmox's files, where there is one. */
export function userSteps(tree: Tree, programs: Programs, record: (line: string) => void): Result<readonly Step[]> {
  const user = findUser(tree, SERVICE_USER);
  if (user !== undefined && (user.uid === 0 || user.uid > SYSTEM_UID_MAX)) {
    return fault("install.failed", `expected ${SERVICE_USER} to be a system user (uid 1 to ${SYSTEM_UID_MAX}) or not to exist, found uid ${user.uid}: that is somebody's account; rename it first`);
  }
  const made = user === undefined ? createUser(programs, record) : keep(`user ${SERVICE_USER}`, `uid ${user.uid}`);
  return ok([made, membership(tree, programs)]);
}

function createUser(programs: Programs, record: (line: string) => void): Step {
  const args = ["--system", "--user-group", "--home-dir", STATE_DIRECTORY, "--no-create-home", "--shell", "/usr/sbin/nologin", "--comment", "Steward agent", SERVICE_USER];
  return {
    verb: "create", what: `user ${SERVICE_USER}`, detail: "a system user with its own group, without a login",
    apply: () => {
      const ran = runOrFail(programs, "useradd", args);
      if (!ran.ok) return ran;
      record(`user ${SERVICE_USER}`);
      return ok(undefined);
    },
  };
}

function membership(tree: Tree, programs: Programs): Step {
  const group = findGroup(tree, HOST_GROUP);
  const what = `group ${HOST_GROUP}`;
  if (group === undefined) return leave(what, "there is none here: not a Proxmox VE host, so its files are not read");
  if (group.members.includes(SERVICE_USER)) return keep(what, `${SERVICE_USER} is in it`);
  return {
    verb: "change", what, detail: `takes ${SERVICE_USER} in: it may read what /etc/pve shows to that group`,
    apply: () => done(runOrFail(programs, "usermod", ["--append", "--groups", HOST_GROUP, SERVICE_USER])),
  };
}

/** Takes the user away that installing made. */
export function removeUserStep(programs: Programs): Step {
  return { verb: "remove", what: `user ${SERVICE_USER}`, detail: "", apply: () => done(runOrFail(programs, "userdel", [SERVICE_USER])) };
}

/** The success without its output. */
export function done(result: Result<unknown>): Result<void> {
  return result.ok ? ok(undefined) : result;
}
