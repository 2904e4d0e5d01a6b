import { fault, ok, type Result } from "../ports/errors.ts";
import { findUser, removeUserStep } from "./accounts.ts";
import { removeEmptyStep, removeFileSteps } from "./files.ts";
import type { InstallPlan, Machine } from "./install.ts";
import {
  CONFIG_DIRECTORY, CONFIG_FILE, DESIRED_DIRECTORY, DESIRED_FILE, layoutOf, OWN_DIRECTORIES, RECORD_FILE, RUN_DIRECTORY, SERVICE_USER, sharedFiles, SHELLS,
  STATE_DIRECTORY, TOKEN_FILE, type Layout,
} from "./layout.ts";
import { pveumRemovalLines } from "./privileges.ts";
import { packageRecord, readRecord, recordedDirectories } from "./record.ts";
import { reloadSteps, stopSteps } from "./service.ts";
import { change, leave, type Step } from "./step.ts";
import type { Tree } from "./tree.ts";

export interface UninstallRequest extends Machine {
  readonly prefix: string;
  /** Settings, token, journal and user too. What people declared stays. */
  readonly isPurge: boolean;
}

/** Everything uninstalling would do. Looks at the machine and changes nothing. */
export function planUninstall(request: UninstallRequest): Result<InstallPlan> {
  const { tree, programs, isForPackaging, isPurge } = request;
  if (packageRecord(tree) !== undefined) return fault("install.failed", `expected an installation by \`agent install\`, found the Debian package steward; use: apt ${isPurge ? "purge" : "remove"} steward`);
  const layout = layoutOf(request.prefix);
  const programFiles = [layout.binary, layout.unit, ...SHELLS.map((shell) => layout.completions[shell]), ...sharedFiles(layout)];
  const files = programFiles.flatMap((path) => removeFileSteps(tree, path));
  const steps: Step[] = [
    ...(isForPackaging ? [] : stopSteps(tree, programs, layout.unit)),
    ...files,
    ...(isForPackaging || !files.some(({ what }) => what === layout.unit) ? [] : reloadSteps(tree, programs)),
    ...(isPurge ? purgeSteps(request) : keptSteps(tree)),
  ];
  steps.push(...removeEmptyStep(tree, programDirectories(tree, layout), steps));
  const next = isPurge && !isForPackaging ? `In Proxmox a user, its token and roles may be left; they go with:\n${pveumRemovalLines().map((line) => `  ${line}\n`).join("")}` : "";
  return ok({ steps, next, finish: () => {} });
}

/** Its own directory for defaults, and those that were made on the way. */
function programDirectories(tree: Tree, layout: Layout): readonly string[] {
  return [...new Set([layout.share, ...recordedDirectories(tree)])];
}

function keptSteps(tree: Tree): readonly Step[] {
  const there = OWN_DIRECTORIES.map(({ path }) => path).filter((path) => path !== DESIRED_DIRECTORY && tree.look(path) !== undefined);
  const user = findUser(tree, SERVICE_USER) === undefined ? [] : [leave(`user ${SERVICE_USER}`, "")];
  return [...there.map((path) => leave(path, "settings and state stay; --purge removes them")), ...user];
}

function purgeSteps({ tree, programs, isForPackaging }: UninstallRequest): readonly Step[] {
  const made = [CONFIG_FILE, `${CONFIG_FILE}.new`, DESIRED_FILE, `${DESIRED_FILE}.new`, TOKEN_FILE, RECORD_FILE];
  const trees = [STATE_DIRECTORY, RUN_DIRECTORY].filter((path) => tree.look(path)?.kind === "directory");
  const hasMadeUser = readRecord(tree).includes(`user ${SERVICE_USER}`) && findUser(tree, SERVICE_USER) !== undefined;
  const files = made.flatMap((path) => removeFileSteps(tree, path));
  return [
    ...files,
    ...foreignFiles(tree, made).map((path) => leave(path, "is none of what installing made")),
    ...removeEmptyStep(tree, [DESIRED_DIRECTORY, CONFIG_DIRECTORY], files),
    ...trees.map((path) => change("remove", path, "with all that is in it", () => tree.removeTree(path))),
    ...(hasMadeUser && !isForPackaging ? [removeUserStep(programs)] : []),
  ];
}

/** Files in the configuration directories that somebody else put there: declarations are people's work. */
function foreignFiles(tree: Tree, made: readonly string[]): readonly string[] {
  const paths = [CONFIG_DIRECTORY, DESIRED_DIRECTORY].flatMap((directory) => tree.list(directory).map((name) => `${directory}/${name}`));
  return paths.filter((path) => path !== DESIRED_DIRECTORY && !made.includes(path));
}
