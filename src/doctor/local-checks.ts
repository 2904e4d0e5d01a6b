import { formatOrigin } from "../config/layers.ts";
import type { LoadedConfig } from "../config/load.ts";
import type { DesiredReport } from "../desired/model.ts";
import { unreachable } from "../ports/errors.ts";
import { checkOf, type Check } from "./check.ts";
import type { AgentFacts, ConfiguredFacts, ListenFacts } from "./facts.ts";
import { broken, fine, skip, warn, type Judgement } from "./finding.ts";
import { count } from "./words.ts";

/** Checks of what is on this machine, apart from files and the disk (storage-checks.ts). */
export const LOCAL_CHECKS: readonly Check[] = [
  {
    name: "config",
    expected: "settings that load, none of them unknown or out of range",
    judge: ({ configured }) => (configured.ok ? judgeConfig(configured.value.loaded) : judgeBrokenConfig(configured.error.message)),
  },
  checkOf("agent", "agent", "the agent that runs is of this version and has this config in force", judgeAgent),
  checkOf("port", "listen", "the health port is free, or the running agent's own", judgePort),
  checkOf("desired", "desired", "a desired state that loads, with every guest declared once", judgeDesired),
];

function judgeConfig({ config, origins, file }: LoadedConfig): Judgement {
  const counts = new Map<string, number>();
  for (const { from } of origins.values()) counts.set(from, (counts.get(from) ?? 0) + 1);
  const shown = [...counts].map(([from, settings]) => `${settings} from ${from === "default" ? "defaults" : `the ${from === "flag" ? "command line" : from}`}`);
  const dry = config.dryRun ? "; dryRun is on: nothing is sent" : "";
  return fine(`${file ?? "no file"}: ${shown.join(", ")}${dry}`, [...origins].map(([key, origin]) => `${key}: ${formatOrigin(origin)}`));
}

function judgeBrokenConfig(message: string): Judgement {
  const problems = message.split("\n");
  return broken(problems.length === 1 ? message : `${problems.length} problems`, "correct them where they stand; docs/configuration.md lists every setting", problems.length === 1 ? [] : problems);
}

function judgeAgent(agent: AgentFacts, { config, version }: ConfiguredFacts): Judgement {
  switch (agent.state) {
    case "absent":
      return skip(`none answers on ${config.socket}`);
    case "unclear":
      return warn(agent.message, "run agent doctor as root or as the agent's user; when the socket is not the agent's, set another with socket:");
    case "running": {
      const who = `version ${agent.version}, pid ${agent.pid}`;
      if (agent.node !== config.node) return warn(`${who} keeps node ${agent.node}, the config says ${config.node}`, "restart the agent, or give this config a socket: of its own");
      if (agent.configProblem !== "") return warn(`${who}: the newest config is not in force`, "correct the config; the agent takes it up by itself", [agent.configProblem]);
      if (agent.version !== version) return warn(`${who}, this command is version ${version}`, "restart the agent to run the newest version");
      return agent.troubles.length === 0 ? fine(who) : warn(`${who}: not all is well`, '"agent status" shows the whole of it', agent.troubles);
    }
    default:
      return unreachable(agent);
  }
}

function judgePort({ port, isOwnAddress, firstFreePort }: ListenFacts, { config, agentUid }: ConfiguredFacts): Judgement {
  const where = `port ${config.server.port}`;
  const change = `set server.listen to another, e.g. ":${config.server.port === 9101 ? 9102 : 9101}"`;
  if (!isOwnAddress) return broken(`${config.server.hostname} is no address of this host`, "set server.listen to one of its addresses, or to :PORT for every address");
  if (port.state !== "ours" && agentUid !== 0 && config.server.port > 0 && config.server.port < firstFreePort) {
    return broken(`${where} is only for root, and the agent is user ${agentUid}`, `set server.listen to a port from ${firstFreePort} up`);
  }
  switch (port.state) {
    case "any":
      return fine("port 0: the system chooses a free one");
    case "free":
      return fine(`${where} is free`);
    case "ours":
      return fine(`${where} is the running agent's`);
    case "taken":
      if (port.mayBeOurs) return skip(`${where} is in use, by the running agent or by another program: this user may not see which`);
      return broken(`${where} is taken by another program (node_exporter uses 9100 too)`, `stop that program, or ${change}; "ss -ltnp 'sport = :${config.server.port}'" names it`);
    case "unknown":
      return skip(`who listens on ${where} cannot be told: ${port.message}`);
    default:
      return unreachable(port);
  }
}

function judgeDesired({ state, problems }: DesiredReport, { config }: ConfiguredFacts): Judgement {
  if (config.desired.source === "empty") return warn("desired.source is empty: no guest is managed", "declare guests (docs/desired-state.md) and name their directory with desired:");
  const { path } = config.desired;
  if (problems.length > 0 || state === undefined) {
    return broken(`${path} does not load: ${count(problems.length, "problem")}`, "correct them; until then a running agent keeps the last good state", problems.map(({ message }) => message));
  }
  const found = `${count(state.guests.size, "guest")} in ${path}, revision ${state.revision.slice(0, REVISION_SHOWN)}`;
  if (state.conflicts.length === 0) return fine(found);
  const places = state.conflicts.map(({ vmid, positions }) => `${vmid}: ${positions.map(({ file, line, column }) => `${file}:${line}:${column}`).join(", ")}`);
  return warn(`${found}; declared more than once: ${state.conflicts.map(({ vmid }) => vmid).join(", ")}`, "declare each of them once; until then nobody manages them", places);
}

/** As `agent status` shows it. */
const REVISION_SHOWN = 12;

/** What a machine that is not a Proxmox host lacks is no fault of its own; what the config asks for is. */
export const HOST_FILES_CHECK: Check = checkOf("host-files", "host", "on a Proxmox host: .version, .vmlist, tasks and run files that this user may read", (host, { config }) => {
  const directory = config.host.pveDir;
  if (host.enabled === false) return skip("host.enabled is false: changes are found by asking the API");
  if (!host.isPresent && host.enabled === "auto") return skip(`no .vmlist in ${directory}, so not on a Proxmox host: changes are found by asking the API`);
  if (!host.isPresent) return broken(`no .vmlist in ${directory}, though host.enabled is true`, '"systemctl status pve-cluster": is pmxcfs running? Off a Proxmox host set host: { enabled: false }');
  const found = `${count(host.guests, "guest")} of ${config.node} in ${directory}/.vmlist`;
  if (host.problems.length === 0) return fine(found);
  return broken(
    `${host.problems.length} of the host's files cannot be used`,
    'put the agent\'s user into group www-data ("usermod -aG www-data USER"), and look at "systemctl status pve-cluster"',
    host.problems.map(({ path, message }) => `${path}: ${message}`),
  );
});
