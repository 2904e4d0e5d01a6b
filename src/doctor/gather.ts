import type { LoadedConfig } from "../config/load.ts";
import { readToken } from "../config/token.ts";
import type { AgentConfig } from "../config/types.ts";
import type { DesiredReport } from "../desired/model.ts";
import type { Clock } from "../ports/clock.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import type { FileSystem } from "../ports/file-system.ts";
import type { Log } from "../ports/log.ts";
import type { Random } from "../ports/random.ts";
import { createHostWatcher } from "../proxmox/host-watcher.ts";
import type { AgentFacts, ConfiguredFacts, EnvironmentFacts, Facts, HostFacts } from "./facts.ts";
import { subvertingNames } from "./environment.ts";
import { gatherApi } from "./gather-api.ts";
import { gatherListen } from "./gather-listen.ts";
import { gatherDisk, gatherFiles, gatherJournal } from "./gather-storage.ts";
import { pathsToAsk } from "./needs.ts";

/** What the doctor is given: the world, and what other rooms know. */
export interface DoctorOptions {
  readonly loaded: Result<LoadedConfig>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly files: FileSystem;
  readonly ownUid: number;
  readonly processId: number;
  readonly version: string;
  /** Where Linux shows processes and connections: /proc. */
  readonly procDir: string;
  /** Addresses of this host's interfaces. */
  readonly ownAddresses: readonly string[];
  readonly askAgent: (config: AgentConfig) => Promise<AgentFacts>;
  readonly loadDesired: (config: AgentConfig) => Promise<DesiredReport>;
}

/** Longest time for one fact. */
const FACT_TIMEOUT_MS = 30_000;
/** Connecting (15 s), three rounds of requests (10 s each) and the questions about privileges (12 s) have limits of their own below this. */
const API_TIMEOUT_MS = 75_000;

/** Gathers every fact. Reads only, but for the sync probe's own file; never throws. */
export async function gather(options: DoctorOptions): Promise<Facts> {
  const { loaded, files, procDir } = options;
  const own: EnvironmentFacts = { who: "this command", variables: environmentOf(files, `${procDir}/self/environ`) };
  if (!loaded.ok) return { configured: loaded, environments: [own] };
  const agent = await within(options, "the agent's socket", () => options.askAgent(loaded.value.config));
  const pid = agent.ok && agent.value.state === "running" ? agent.value.pid : undefined;
  const running = pid === undefined || pid === options.processId ? [] : [{ who: `the running agent (pid ${pid})`, variables: environmentOf(files, `${procDir}/${pid}/environ`) }];
  return { configured: ok(await gatherConfigured(options, loaded.value, agent, pid)), environments: [own, ...running] };
}

/** The environment a process was started with: what main.ts has dropped since is still in it. */
function environmentOf(files: FileSystem, path: string): readonly string[] | undefined {
  const read = files.readFile(path);
  return read.ok ? subvertingNames(new TextDecoder().decode(read.value)) : undefined;
}

async function gatherConfigured(options: DoctorOptions, loaded: LoadedConfig, agent: Result<AgentFacts>, pid: number | undefined): Promise<ConfiguredFacts> {
  const { clock, files, ownUid } = options;
  const { config } = loaded;
  const agentUid = agentUidOf(options, config);
  const desired = await within(options, "the desired state", () => options.loadDesired(config));
  const known = { config, loaded, nowMs: clock.now(), version: options.version, ownUid, agentUid, agent, desired };
  // One after the other: the disk is measured while nothing else is busy.
  return {
    ...known,
    files: await within(options, "the files' modes", () => gatherFiles(files, loaded)),
    disk: await within(options, "the state directory's disk", () => gatherDisk(options, config.stateDir)),
    journal: await within(options, "the journal", () => gatherJournal(files, `${config.stateDir}/journal`)),
    listen: await within(options, "the health port", () => gatherListen({ ...options, ...config.server, agentPid: pid })),
    host: await within(options, "the host's files", () => gatherHost(options, config)),
    api: await within(options, "Proxmox", () => {
      const token = readToken(config.proxmox.tokenFile, { files, userId: agentUid });
      return gatherApi(options, config, token, pathsToAsk(desired.ok ? desired.value.state : undefined, config.node));
    }, API_TIMEOUT_MS),
  };
}

/** Root may look after an agent of another user: what is the agent's belongs to that user. */
function agentUidOf({ files, ownUid }: DoctorOptions, { socket, stateDir }: AgentConfig): number {
  if (ownUid !== 0) return ownUid;
  for (const path of [socket, `${stateDir}/journal`, stateDir]) {
    const status = files.status(path);
    if (status.ok) return status.value.ownerUid;
  }
  return ownUid;
}

function gatherHost({ files, procDir, clock }: DoctorOptions, { host, node }: AgentConfig): HostFacts {
  const { enabled, ...directories } = host;
  const watcher = createHostWatcher({ ...directories, procDir, node, files, clock });
  const isPresent = watcher.isPresent();
  if (enabled === false || !isPresent) return { enabled, isPresent, problems: [], guests: 0 };
  const snapshot = watcher.poll();
  const guests = [...snapshot.vmlist.values()].filter((entry) => entry.node === node).length;
  return { enabled, isPresent, problems: snapshot.problems.map(({ path, message }) => ({ path, message })), guests };
}

/** A fact, or why there is none: it took too long, or the gathering itself has a defect. One never costs the others. */
async function within<T>({ clock }: Pick<DoctorOptions, "clock">, what: string, work: () => T | Promise<T>, timeoutMs: number = FACT_TIMEOUT_MS): Promise<Result<T>> {
  const done = new AbortController();
  const timeout = clock.sleep(timeoutMs, done.signal).then(() => fault("doctor.not_gathered", `${what}: no answer within ${timeoutMs / 1000} s`));
  const attempt = (async (): Promise<Result<T>> => {
    try {
      return ok(await work());
    } catch (error) {
      return fault("doctor.not_gathered", `${what}: ${error instanceof Error ? error.message : String(error)}`, error);
    }
  })();
  const first = await Promise.race([attempt, timeout]);
  done.abort();
  return first;
}
