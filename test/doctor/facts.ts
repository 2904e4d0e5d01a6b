import type { AgentConfig } from "../../src/config/types.ts";
import type { DesiredReport } from "../../src/desired/model.ts";
import { parseDesiredFiles } from "../../src/desired/parse.ts";
import type { AnswerFacts, ApiFacts, ConfiguredFacts, Facts, FileFacts, FilePurpose } from "../../src/doctor/facts.ts";
import { ok } from "../../src/ports/errors.ts";

/** Facts of an agent with which all is well; a test says what is otherwise. */

export const NOW_MS = Date.UTC(2026, 5, 1);
export const DAY_MS = 86_400_000;
const AGENT_UID = 998;

export const CONFIG: AgentConfig = {
  node: "pve1",
  stateDir: "/var/lib/steward",
  proxmox: { url: "https://127.0.0.1:8006", tokenFile: "/etc/steward/token", tls: "auto", requestTimeoutMs: 30_000, maxConcurrentRequests: 3 },
  host: { enabled: "auto", pveDir: "/etc/pve", runDir: "/run", taskDir: "/var/log/pve/tasks", cgroupDir: "/sys/fs/cgroup" },
  desired: { source: "directory", path: "/etc/steward/desired" },
  pollIntervalMs: 1_000, resyncIntervalMs: 60_000, maxConcurrentActs: 4, maxConcurrentStarts: 2, maxAffectedPercent: 20,
  taskTimeoutMs: 600_000, shutdownTimeoutMs: 60_000, dryRun: false,
  server: { hostname: "::", port: 9100 },
  socket: "/run/steward/agent.sock",
  log: { level: "info", format: "text" },
};

/** Desired guests as YAML under `guests:`. */
export function desiredOf(guests: string): DesiredReport {
  return { state: parseDesiredFiles([{ name: "a.yaml", text: `version: 1\nguests:\n${guests}` }]), problems: [] };
}

export const TWO_GUESTS = desiredOf("  - { vmid: 101, kind: qemu, state: running, config: { cores: 2, net0: { bridge: vmbr0 } } }\n  - { vmid: 200, kind: lxc, config: { memory: 512 } }\n");

export const GOOD_ANSWERS: AnswerFacts = {
  version: { major: 9, minor: 2, patch: 11 },
  clock: ok({ skewMs: 300, uncertaintyMs: 500 }),
  nodes: ok([{ name: "pve1", isOnline: true }, { name: "pve2", isOnline: false }]),
  quorum: ok(true),
  privileges: new Map([
    ["/", ok(new Set(["Sys.Audit"]))],
    ["/nodes/pve1", ok(new Set(["Sys.Audit"]))],
    ["/vms/101", ok(new Set(["VM.Audit", "VM.PowerMgmt", "VM.Config.CPU", "VM.Config.Network"]))],
    ["/vms/200", ok(new Set(["VM.Audit", "VM.Config.Memory"]))],
    ["/sdn/zones/localnetwork/vmbr0", ok(new Set(["SDN.Use"]))],
  ]),
};

export const GOOD_API: ApiFacts = {
  connection: {
    trust: ok({ type: "ca", source: "/etc/pve/pve-root-ca.pem", authorityEndsMs: NOW_MS + 3_000 * DAY_MS }),
    certificate: ok({ subject: "CN=pve1", fingerprint: "AB:CD", endsMs: NOW_MS + 300 * DAY_MS }),
  },
  token: ok("steward@pve!agent"),
  answers: ok(GOOD_ANSWERS),
};

/** A file with this mode and owner. */
export function fileOf(purpose: FilePurpose, path: string, mode: number, ownerUid = AGENT_UID, isDirectory = false): FileFacts {
  return { purpose, path, status: ok({ isDirectory, isFile: !isDirectory, mode, ownerUid, sizeBytes: 1, inode: 1, modifiedAtMs: 0 }) };
}

const GOOD: ConfiguredFacts = {
  config: CONFIG,
  loaded: { config: CONFIG, origins: new Map([["node", { from: "default" }], ["dryRun", { from: "flag", flag: "--dry-run" }]]), file: "/etc/steward/agent.yaml", fingerprint: "" },
  nowMs: NOW_MS, version: "1.2.3", ownUid: 0, agentUid: AGENT_UID,
  agent: ok({ state: "running", pid: 77, version: "1.2.3", node: "pve1", configProblem: "", troubles: [] }),
  files: ok([fileOf("config", "/etc/steward/agent.yaml", 0o644, 0), fileOf("token", "/etc/steward/token", 0o600)]),
  disk: ok({ isPresent: true, freeBytes: ok(10 * 1024 ** 3), sync: ok({ syncs: 500, seconds: 0.25, slowestMs: 2 }) }),
  listen: ok({ port: { state: "ours" }, isOwnAddress: true, firstFreePort: 1_024 }),
  journal: ok({ directory: "/var/lib/steward/journal", verified: ok({ outcome: "intact", firstSequence: 1, records: 12, head: { segment: "s", sequence: 12, hash: "ff".repeat(32) } }), newestRecordMs: NOW_MS - 1_000 }),
  host: ok({ enabled: "auto", isPresent: true, problems: [], guests: 7 }),
  desired: ok(TWO_GUESTS),
  api: ok(GOOD_API),
};

/** All well, but for `changes`. */
export function factsWith(changes: Partial<ConfiguredFacts> = {}): Facts {
  return { configured: ok({ ...GOOD, ...changes }), environments: [{ who: "this command", variables: [] }] };
}

/** Proxmox answers as if all were well, but for `changes`. */
export function answering(changes: Partial<AnswerFacts>): Facts {
  return factsWith({ api: ok({ ...GOOD_API, answers: ok({ ...GOOD_ANSWERS, ...changes }) }) });
}
