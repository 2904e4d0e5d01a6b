import type { Command } from "commander";
import type { RunningSimulator } from "../simulator/main.ts";
import { EXIT, untilAborted, type CommandContext, type ExitCode } from "./context.ts";

/** Guests beyond this make a start slow and prove nothing more. */
const GUESTS_MAX = 20_000;

interface SimulateOptions {
  readonly listen: string;
  readonly guests: string;
  readonly seed: string;
  readonly tokenFile?: string;
  readonly tlsDir?: string;
  readonly hostDir?: string;
  readonly node: string;
}

/** `agent simulate`: a Proxmox host to try things on; runs until interrupted. */
export function addSimulateCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  program
    .command("simulate")
    .description("a simulated Proxmox VE host behind the real HTTPS API, to try things on")
    .option("--listen <address>", "host:port of the API", "127.0.0.1:8006")
    .option("--guests <n>", "guests to make up", "10")
    .option("--seed <n>", "the same guests for the same seed", "1")
    .option("--token-file <file>", "write an API token here (mode 0600)")
    .option("--tls-dir <directory>", "keep the certificates here; pve-root-ca.pem among them")
    .option("--host-dir <directory>", "keep .version, .vmlist, task and run files here, as a host would")
    .option("--node <name>", "the node's name", "pve1")
    .action(async (options: SimulateOptions) => finish(await simulate(context, options)));
}

async function simulate(context: CommandContext, options: SimulateOptions): Promise<ExitCode> {
  const listen = parseListen(options.listen);
  const guests = wholeNumber(options.guests, GUESTS_MAX);
  const seed = wholeNumber(options.seed, Number.MAX_SAFE_INTEGER);
  if (listen === undefined) return usage(context, `expected host:port after --listen, such as 127.0.0.1:8006, found "${options.listen}"`);
  if (guests === undefined) return usage(context, `expected a whole number up to ${GUESTS_MAX} after --guests, found "${options.guests}"`);
  if (seed === undefined) return usage(context, `expected a whole number after --seed, found "${options.seed}"`);
  let simulator: RunningSimulator;
  try {
    // Loaded on demand: the daemon must not carry a simulated host in memory.
    const { startSimulator } = await import("../simulator/main.ts");
    simulator = await startSimulator({
      listen, guests, seed, nodeName: options.node, clock: context.world.clock, random: context.world.random,
      tokenFile: options.tokenFile, tlsDir: options.tlsDir, hostDir: options.hostDir,
    });
  } catch (error) {
    context.complain(`agent: the simulator cannot start: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.error;
  }
  context.print(introduction(simulator, options, guests, seed));
  await untilAborted(context.interrupted);
  await simulator.stop();
  return EXIT.done;
}

function introduction(simulator: RunningSimulator, options: SimulateOptions, guests: number, seed: number): string {
  const lines = [
    `Simulated Proxmox VE node ${options.node} with ${guests} guests (seed ${seed})`,
    `  url          ${simulator.url}`,
    `  fingerprint  ${simulator.fingerprint}`,
    `  control      ${simulator.controlUrl}/_sim/faults (also /_sim/edit, /_sim/log, /_sim/connections)`,
    options.tokenFile === undefined ? "  token        (give --token-file FILE to have it written)" : `  token file   ${options.tokenFile}`,
    "",
    "A config for it:",
    `  node: ${options.node}`,
    "  proxmox:",
    `    url: ${simulator.url}`,
    ...(options.tokenFile === undefined ? [] : [`    tokenFile: ${options.tokenFile}`]),
    options.tlsDir === undefined ? `    tls: { fingerprint: "${simulator.fingerprint}" }` : `    tls: { caFile: ${options.tlsDir}/pve-root-ca.pem }`,
    ...(options.hostDir === undefined
      ? ["  host: { enabled: false }"]
      : [`  host: { enabled: true, pveDir: ${options.hostDir}, runDir: ${options.hostDir}/run, taskDir: ${options.hostDir}/tasks, cgroupDir: ${options.hostDir}/cgroup }`]),
    "",
    "Ctrl-C ends it.",
    "",
  ];
  return lines.join("\n");
}

function parseListen(text: string): { readonly hostname: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  return match === null || port > 65_535 ? undefined : { hostname: match[1] ?? match[2] ?? "", port };
}

function wholeNumber(text: string, most: number): number | undefined {
  return /^\d{1,16}$/.test(text) && Number(text) <= most ? Number(text) : undefined;
}

function usage(context: CommandContext, message: string): ExitCode {
  context.complain(`agent: ${message}\n`);
  return EXIT.usage;
}
