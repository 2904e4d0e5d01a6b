import { ok } from "../ports/errors.ts";
import { done } from "./accounts.ts";
import { RUN_DIRECTORY, SERVICE_USER, UNIT_NAME } from "./layout.ts";
import { runOrFail, type Programs } from "./programs.ts";
import { change, keep, leave, type Step } from "./step.ts";
import type { Tree } from "./tree.ts";

/** systemd's own way to ask whether it is the service manager here (sd_booted(3)). */
const BOOTED_DIRECTORY = "/run/systemd/system";

const ENABLED_LINK = `/etc/systemd/system/multi-user.target.wants/${UNIT_NAME}`;

/** Whether systemd is the service manager of this machine, and its command is there. */
export function hasSystemd(tree: Tree, programs: Programs): boolean {
  return tree.look(BOOTED_DIRECTORY)?.kind === "directory" && programs.find("systemctl") !== undefined;
}

export interface ServiceNeeds {
  /** The unit file is new or another. */
  readonly isUnitChanged: boolean;
  /** Anything is new that a running agent has not got. */
  readonly isProgramChanged: boolean;
  /** Without a token it could do nothing yet. */
  readonly hasToken: boolean;
}

/** Tells systemd of the unit; starts it when there is a token, restarts it when it runs an older one. */
export function startSteps(tree: Tree, programs: Programs, needs: ServiceNeeds): readonly Step[] {
  if (!hasSystemd(tree, programs)) return [leave(UNIT_NAME, "systemd does not run here; start the agent by hand (below)")];
  const steps: Step[] = [];
  if (needs.isUnitChanged) steps.push(systemctl(programs, ["daemon-reload"]));
  const [isEnabled, isActive] = [says(programs, "is-enabled"), says(programs, "is-active")];
  if (!needs.hasToken && !isActive) return [...steps, leave(UNIT_NAME, "not started: there is no token yet (below)")];
  if (!isEnabled || !isActive) steps.push(systemctl(programs, ["enable", "--now", UNIT_NAME]));
  if (isActive && needs.isProgramChanged) steps.push(systemctl(programs, ["restart", UNIT_NAME]));
  return steps.length === 0 ? [keep(UNIT_NAME, "enabled and running")] : steps;
}

/** Stops and disables; without systemd only the link that would start it. */
export function stopSteps(tree: Tree, programs: Programs, unit: string): readonly Step[] {
  if (hasSystemd(tree, programs) && tree.isFile(unit)) return [systemctl(programs, ["disable", "--now", UNIT_NAME])];
  return tree.look(ENABLED_LINK) === undefined ? [] : [change("remove", ENABLED_LINK, "", () => tree.removeFile(ENABLED_LINK))];
}

/** After the unit is gone. */
export function reloadSteps(tree: Tree, programs: Programs): readonly Step[] {
  return hasSystemd(tree, programs) ? [systemctl(programs, ["daemon-reload"])] : [];
}

function systemctl(programs: Programs, words: readonly string[]): Step {
  return { verb: "run", what: `systemctl ${words.join(" ")}`, detail: "", apply: () => done(runOrFail(programs, "systemctl", words)) };
}

function says(programs: Programs, question: "is-enabled" | "is-active"): boolean {
  const ran = programs.run("systemctl", [question, "--quiet", UNIT_NAME]);
  return (ran.ok ? ran : ok({ exitCode: 1 })).value.exitCode === 0;
}

/** How to run the agent where no systemd does: what the unit would do, by hand. */
export function byHandText(binary: string): string {
  return [
    `  install -d -m 750 -o ${SERVICE_USER} -g ${SERVICE_USER} ${RUN_DIRECTORY}`,
    `  runuser -u ${SERVICE_USER} -- ${binary} run`,
    "",
  ].join("\n");
}
