import { Agent, type AgentOptions } from "./agent.ts";
import { complainAbout, EXIT, untilAborted, type CommandContext, type ExitCode } from "./commands/context.ts";
import type { LoadedConfig } from "./config/load.ts";
import { fingerprintOf } from "./config/load.ts";
import type { AgentConfig } from "./config/types.ts";
import { limitsOf } from "./limits.ts";
import type { Clock } from "./ports/clock.ts";
import type { Result } from "./ports/errors.ts";
import type { FileSystem } from "./ports/file-system.ts";
import type { Log } from "./ports/log.ts";
import { driftedFieldsOf } from "./reconcile/guest-conditions.ts";
import { collectGarbage, returnMemory } from "./runtime/memory.ts";
import { Logger } from "./runtime/logger.ts";
import { connectNotifier, type Notifier } from "./runtime/notify.ts";
import { readProcessSample } from "./runtime/process-info.ts";
import { createServerApp } from "./server/app.ts";
import type { GaugeSource } from "./server/gauges.ts";
import { startServer, type RunningServer } from "./server/listen.ts";
import { createMetrics, type Metrics } from "./server/metrics.ts";
import type { ServerView } from "./server/view.ts";
import { COMMIT, VERSION } from "./version.ts";

/**
 * The daemon: one agent with its health server, control socket, log, service manager and config watch,
 * from start to the end of a graceful stop.
 */

/** Added to twice the request timeout: a loop that got nowhere for that long is stuck, not slow. */
const STALL_MARGIN_MS = 60_000;

/** How often the config file is compared with what was loaded; a SIGHUP is faster. */
const CONFIG_CHECK_INTERVAL_MS = 5_000;

/** Probes and scrapes under way at the end get this long. */
const SERVER_STOP_TIMEOUT_MS = 500;

/** While the first full read goes on: often enough that reading a thousand guests stays within a few MB. */
const START_MEMORY_INTERVAL_MS = 200;

/** Later: how often what reading has left over is given back; a collection takes some 10 ms. */
const MEMORY_INTERVAL_MS = 10_000;

/** Without a watchdog, how often the service manager's status line is refreshed. */
const STATUS_INTERVAL_MS = 10_000;

/** What a caller in the same process may want of a daemon that has started. */
export interface Started {
  readonly agent: Agent;
  /** "http://127.0.0.1:9100". */
  readonly healthUrl: string;
}

/** Runs until interrupted. Exits at once when the port is taken or another agent holds the lock. */
export async function serveAgent(
  context: CommandContext,
  loaded: LoadedConfig,
  reload: () => Result<LoadedConfig>,
  onStarted: (started: Started) => void = () => {},
): Promise<ExitCode> {
  const { config } = loaded;
  const { clock } = context.world;
  const log = new Logger({ clock, ...config.log, isTerminal: context.isTerminal, hasColours: context.isTerminal && !context.environment["NO_COLOR"] });
  const counted: Counted = {};
  const opened = await Agent.open({
    config, reload, world: { ...context.world, log }, processId: context.processId, observer: observerOf(counted), onConfig: (next) => log.configure(next.log),
  });
  if (!opened.ok) return complainAbout(context, opened.error);
  const agent = opened.value;
  const metrics = createMetrics({ version: VERSION, commit: COMMIT }, gaugeSource(agent));
  counted.metrics = metrics;
  const listening = await listenOnBoth(agent, metrics, log, clock);
  if (!listening.ok) {
    await agent.stop();
    return complainAbout(context, listening.error);
  }
  const server = listening.value;
  agent.start();
  log.info("started", { version: VERSION, commit: COMMIT, node: config.node, health: server.url, socket: config.socket, dryRun: config.dryRun });
  onStarted({ agent, healthUrl: server.url });
  const notifier = connectNotifier(context.environment, context.processId, log);
  notifier.ready();
  await doChores(agent, context, loaded, notifier);
  log.info("stopping: no new acts; running ones are waited for", { atMostSeconds: agent.config.shutdownTimeoutMs / 1000 });
  await agent.stop();
  await server.stop(SERVER_STOP_TIMEOUT_MS);
  notifier.close();
  log.info("stopped");
  return EXIT.done;
}

/** The agent is opened before there are metrics of it; what it tells until then is not counted. */
interface Counted {
  metrics?: Metrics;
}

function observerOf(counted: Counted): AgentOptions["observer"] {
  return {
    reconciled: (result, seconds) => counted.metrics?.observeReconcile(result, seconds),
    acted: (action, result) => counted.metrics?.countAction(action.type, result.kind),
    resynced: (atMs) => counted.metrics?.setLastResync(atMs),
    cycled: (seconds) => counted.metrics?.setReadCycle(seconds),
    requested: (measure) => counted.metrics?.observeProxmoxRequest(measure),
    synced: (seconds) => counted.metrics?.observeJournalSync(seconds),
    waited: (seconds) => counted.metrics?.observeLaneWait(seconds),
    queue: {
      added: () => counted.metrics?.queue.added(),
      refused: () => counted.metrics?.queue.refused(),
      retried: () => counted.metrics?.queue.retried(),
      waited: (seconds) => counted.metrics?.queue.waited(seconds),
      finished: (result, seconds) => counted.metrics?.queue.finished(result, seconds),
    },
  };
}

/** The health server and the control socket: both, or neither. */
async function listenOnBoth(agent: Agent, metrics: Metrics, log: Log, clock: Clock): Promise<Result<RunningServer>> {
  const server = startServer({ app: createServerApp(serverView(agent, metrics), log), ...listenAddress(agent.config), log, clock });
  if (!server.ok) return server;
  const socket = await agent.listen();
  if (socket.ok) return server;
  await server.value.stop(0);
  return socket;
}

/** What a daemon does beside reconciling, until it is interrupted. */
async function doChores(agent: Agent, context: CommandContext, loaded: LoadedConfig, notifier: Notifier): Promise<void> {
  const { clock, fileSystem } = context.world;
  const watching = new AbortController();
  const chores = [
    watchConfig({ agent, context, loaded, notifier, clock, fileSystem, stop: watching.signal }),
    returnMemoryWhenIdle(agent, clock, watching.signal),
    tellServiceManager(agent, notifier, clock, watching.signal),
  ];
  await untilAborted(context.interrupted);
  notifier.stopping();
  watching.abort();
  await Promise.all(chores);
}

/** ":9100" is every address of the host; the server knows how to do without IPv6. */
function listenAddress({ server }: AgentConfig): AgentConfig["server"] {
  return server.hostname === "::" ? { ...server, hostname: "" } : server;
}

/** A loop that makes no progress is stuck; a pass that fails is progress. */
function liveness(agent: Agent): { readonly isAlive: boolean; readonly message: string } {
  const limitMs = 2 * agent.config.proxmox.requestTimeoutMs + agent.config.pollIntervalMs + STALL_MARGIN_MS;
  const stalledMs = agent.engine.stalledMs();
  return stalledMs <= limitMs ? { isAlive: true, message: "" } : { isAlive: false, message: `no progress for ${Math.round(stalledMs / 1000)} s` };
}

function serverView(agent: Agent, metrics: Metrics): ServerView {
  return {
    liveness: () => liveness(agent),
    hostConditions: () => agent.tracker.host(),
    guestConditions: () => {
      const names = new Map(agent.engine.guests().map((view) => [view.guest.vmid, view.name]));
      return agent.tracker.guests().map((entry) => ({ ...entry, name: names.get(entry.guest.vmid) }));
    },
    events: () => agent.tracker.events(),
    metrics,
    version: VERSION,
    commit: COMMIT,
    get node() {
      return agent.config.node;
    },
    journalHead: () => agent.journal.head(),
  };
}

function gaugeSource(agent: Agent): GaugeSource {
  return {
    hostConditions: () => agent.tracker.host(),
    guestConditions: () => agent.tracker.guests(),
    guests: () => agent.engine.guests().map((view) => ({ kind: view.guest.kind, state: view.runState })),
    driftedFields: () => agent.engine.guests().reduce((sum, view) => sum + driftedFieldsOf(view.plan), 0),
    laneDepth: () => agent.lanes.depth(),
    longestLaneWaitSeconds: () => agent.lanes.longestWaitSeconds(),
    queue: () => agent.engine.queueState(),
    backoffGuests: () => agent.engine.backoffCount(),
    refusedKeys: () => agent.engine.refusedKeyCount(),
    isToldOfChanges: () => agent.engine.isToldOfChanges(),
    journalRecords: () => agent.journal.appendedCount(),
    journalHead: () => agent.journal.head(),
    limits: () => limitsOf(agent.config),
    process: () => readProcessSample(),
  };
}

interface ConfigWatch {
  readonly agent: Agent;
  readonly context: CommandContext;
  readonly loaded: LoadedConfig;
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly fileSystem: FileSystem;
  readonly stop: AbortSignal;
}

/** Re-reads the config on SIGHUP and when its file's content changes. */
async function watchConfig(watch: ConfigWatch): Promise<void> {
  let seen = watch.loaded.fingerprint;
  let nap = new AbortController();
  let isAsked = false;
  watch.context.onHangup(() => {
    isAsked = true;
    nap.abort();
  });
  while (!watch.stop.aborted) {
    nap = new AbortController();
    await watch.clock.sleep(CONFIG_CHECK_INTERVAL_MS, AbortSignal.any([nap.signal, watch.stop]));
    const now = currentFingerprint(watch) ?? seen;
    if (watch.stop.aborted || (!isAsked && now === seen)) continue;
    isAsked = false;
    seen = now;
    watch.notifier.reloading();
    await watch.agent.reload();
    watch.notifier.ready();
  }
}

/** Undefined when there is no file, or it cannot be read just now. */
function currentFingerprint({ loaded, fileSystem }: ConfigWatch): string | undefined {
  if (loaded.file === undefined) return undefined;
  const read = fileSystem.readFile(loaded.file);
  return read.ok ? fingerprintOf(read.value) : undefined;
}

/** Keeps the start's peak low, and gives back what reading has left over, when no lane works. */
async function returnMemoryWhenIdle(agent: Agent, clock: Clock, stop: AbortSignal): Promise<void> {
  let isAfterStart = true;
  let seen = 0;
  while (!stop.aborted) {
    await clock.sleep(isAfterStart ? START_MEMORY_INTERVAL_MS : MEMORY_INTERVAL_MS, stop);
    const isWorking = agent.engine.isWorking() || agent.lanes.depth() > 0;
    const done = agent.reconcileCount();
    if (isWorking && isAfterStart) collectGarbage();
    if (isWorking || done === seen) continue;
    returnMemory(isAfterStart);
    isAfterStart = false;
    seen = done;
  }
}

/** Feeds the watchdog only while the reconcile loop itself makes progress, and keeps the status line fresh. */
async function tellServiceManager(agent: Agent, notifier: Notifier, clock: Clock, stop: AbortSignal): Promise<void> {
  if (!notifier.isConnected) return;
  const intervalMs = notifier.watchdogIntervalMs === undefined ? STATUS_INTERVAL_MS : notifier.watchdogIntervalMs / 2;
  while (!stop.aborted) {
    if (liveness(agent).isAlive) notifier.watchdog();
    const failing = agent.tracker.host().filter((condition) => condition.status === "False" && condition.type !== "RevisionHeld");
    notifier.status(failing.length === 0 ? `keeping ${agent.engine.guests().length} guests` : failing.map((condition) => `${condition.type}: ${condition.reason}`).join(", "));
    await clock.sleep(intervalMs, stop);
  }
}
