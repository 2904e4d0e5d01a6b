import type { Command } from "commander";
import configYaml from "../../packaging/agent.yaml" with { type: "text" };
import guestsYaml from "../../packaging/guests.yaml" with { type: "text" };
import { planInstall, type InstallPlan, type Machine } from "../install/install.ts";
import { DEFAULT_PREFIX, layoutOf, PACKAGE_PREFIX, type ShippedTexts } from "../install/layout.ts";
import { systemPrograms } from "../install/programs.ts";
import { isChange, looked, type Step } from "../install/step.ts";
import { Tree } from "../install/tree.ts";
import { planUninstall } from "../install/uninstall.ts";
import { unitText } from "../install/unit.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import { VERSION } from "../version.ts";
import { addCompletionCommand, completionFor } from "./completion.ts";
import { complainAbout, EXIT, json, type CommandContext, type ExitCode } from "./context.ts";
import { schemaText } from "./schema.ts";

/** As wide as the widest verb. */
const VERB_WIDTH = 6;

/** No part is "." or "..", none needs quoting. */
const PREFIX_FORM = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.+~-]+)+$/;

interface InstallOptions {
  readonly prefix?: string;
  readonly root?: string;
  readonly binary?: string;
  readonly createToken?: boolean;
  readonly purge?: boolean;
  /** Also a setting, so it may stand anywhere: true, or its text. */
  readonly dryRun?: boolean | string;
}

/** `agent install`, `agent uninstall`, and the hidden `agent completion`. */
export function addInstallCommands(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  withPlace(program.command("install"))
    .description("put this agent on this machine: binary, user, directories, service, completions")
    .option("--binary <file>", "the agent to install (default: this one)")
    .option("--create-token", "on a Proxmox VE host: make the user, its roles and its token too")
    .addHelpText("after", "\nShows its plan first. A second run changes nothing; files that were edited stay.")
    .action((_options, command: Command) => finish(install(program, context, command.optsWithGlobals<InstallOptions>())));
  withPlace(program.command("uninstall"))
    .description("take this agent off this machine; settings and state stay")
    .option("--purge", "settings, token, journal and user too")
    .action((_options, command: Command) => finish(uninstall(context, command.optsWithGlobals<InstallOptions>())));
  addCompletionCommand(program, context, finish);
}

function withPlace(command: Command): Command {
  return command
    .option("--dry-run", "only show the plan")
    .option("--prefix <directory>", `where programs go (default: ${DEFAULT_PREFIX})`)
    .option("--root <directory>", "only the files, into this tree: for packaging");
}

function install(program: Command, context: CommandContext, options: InstallOptions): ExitCode {
  const machine = machineFor(context, options, "install");
  if (!machine.ok) return complainAbout(context, machine.error);
  if (options.createToken === true && options.root !== undefined) return complainAbout(context, fault("command.usage", "expected --create-token or --root, found both: a tree has no Proxmox").error);
  const binary = binaryFor(options);
  if (!binary.ok) return complainAbout(context, binary.error);
  const planned = looked(() => planInstall({
    ...machine.value, binary: binary.value, prefix: prefixFor(options), texts: textsFor(program), unitText, shouldCreateToken: options.createToken === true,
  }));
  return planned.ok ? carryOut(context, planned.value, isDryRun(options)) : complainAbout(context, planned.error);
}

function uninstall(context: CommandContext, options: InstallOptions): ExitCode {
  const machine = machineFor(context, options, "uninstall");
  if (!machine.ok) return complainAbout(context, machine.error);
  const planned = looked(() => planUninstall({ ...machine.value, prefix: prefixFor(options), isPurge: options.purge === true }));
  return planned.ok ? carryOut(context, planned.value, isDryRun(options)) : complainAbout(context, planned.error);
}

function isDryRun({ dryRun }: InstallOptions): boolean {
  return dryRun === true || dryRun === "true";
}

function machineFor(context: CommandContext, options: InstallOptions, what: string): Result<Machine> {
  const { prefix, root } = options;
  if (root?.startsWith("/") === false) return fault("command.usage", `expected an absolute path after --root, found "${root}"`);
  if (prefix !== undefined && !PREFIX_FORM.test(prefix)) return fault("command.usage", `expected an absolute path of letters, digits and ._+~- after --prefix (it goes into the unit file), found "${prefix}"`);
  const programs = systemPrograms(context.environment["PATH"]);
  if (root !== undefined) return ok({ tree: new Tree(root), programs, isForPackaging: true });
  if (context.world.userId !== 0 && !isDryRun(options)) {
    return fault("install.failed", `expected to run as root (a user, a service and files in /etc), found uid ${context.world.userId}: sudo agent ${what}; --dry-run shows the plan, --root DIR fills a tree for packaging`);
  }
  return ok({ tree: new Tree("/"), programs, isForPackaging: false });
}

/** A packaged agent stands in /usr/bin, and its place is there. */
function prefixFor({ prefix }: InstallOptions): string {
  return prefix ?? (process.execPath === layoutOf(PACKAGE_PREFIX).binary ? PACKAGE_PREFIX : DEFAULT_PREFIX);
}

function binaryFor({ binary }: InstallOptions): Result<string> {
  if (binary !== undefined) return new Tree("/").isFile(binary) ? ok(binary) : fault("install.failed", `${binary}: expected the agent's binary as an absolute path to a file, found none`);
  const isCompiled = VERSION !== "0.0.0-development";
  return isCompiled ? ok(process.execPath) : fault("install.failed", "expected a built agent, found its source: build one (bun run build) and run ./dist/agent install, or name it with --binary");
}

/** What goes into files, apart from the unit. */
function textsFor(program: Command): Omit<ShippedTexts, "unit"> {
  return {
    completions: { bash: completionFor(program, "bash"), zsh: completionFor(program, "zsh"), fish: completionFor(program, "fish") },
    config: String(configYaml), desired: String(guestsYaml), schema: json(schemaText("desired")),
  };
}

/** Shows the plan, does it step by step, and stops at the first step that fails. */
function carryOut(context: CommandContext, plan: InstallPlan, isOnlyShown: boolean): ExitCode {
  const changes = plan.steps.filter(isChange);
  context.print(plan.steps.map(lineOf).join(""));
  const failure = isOnlyShown ? undefined : applyAll(changes);
  if (!isOnlyShown) plan.finish();
  if (failure !== undefined) {
    const done = changes.indexOf(failure.step);
    context.complain(`agent: ${failure.message}\nagent: stopped after ${done} of ${changes.length} changes; run it again once that is mended\n`);
    return EXIT.error;
  }
  const count = `${changes.length} change${changes.length === 1 ? "" : "s"}`;
  context.print(changes.length === 0 ? "Nothing to change: all of it is as it should be.\n" : isOnlyShown ? `${count} to make; nothing was changed (--dry-run).\n` : `${count} made.\n`);
  if (plan.next !== "") context.print(`\n${plan.next}`);
  return EXIT.done;
}

/** "  create  /etc/steward (0750 root:steward)". */
function lineOf({ verb, what, detail }: Step): string {
  return `  ${verb.padEnd(VERB_WIDTH)}  ${what}${detail === "" ? "" : ` (${detail})`}\n`;
}

function applyAll(steps: readonly Step[]): { readonly step: Step; readonly message: string } | undefined {
  for (const step of steps) {
    const applied = step.apply?.();
    if (applied?.ok === false) return { step, message: applied.error.message };
  }
  return undefined;
}
