import * as v from "valibot";
import { apiUrl, certificateFingerprint, duration, listenAddress, nodeName, oneOf, path, percent, setting, type SettingFacts, truth, truthOrAuto, wholeNumber } from "./setting-types.ts";
import { LOG_LEVELS } from "./types.ts";

/**
 * The one table of settings. The schema, the flags, the environment variables and the table in
 * docs/configuration.md all come from it. Keys are paths into the file.
 */

/** Linux takes 107 bytes in sun_path; a longer socket path cannot be bound. */
const SOCKET_PATH_BYTES_MAX = 107;

/** Given by the caller, since it is a fact about this host. */
const NODE_DEFAULT = "this host's name";

export const SettingsSchema = v.object({
  node: setting(nodeName(), { type: "name", default: NODE_DEFAULT, description: "The Proxmox node whose guests are kept, as Proxmox names it." }),
  stateDir: setting(path(), { type: "path", default: "/var/lib/steward", description: "Directory of durable state; the journal is `journal` in it." }),
  "proxmox.url": setting(apiUrl(), { type: "url", default: "https://127.0.0.1:8006", description: "Where Proxmox's API answers; https only." }),
  "proxmox.tokenFile": setting(path(), { type: "path", default: "/etc/steward/token", description: "File that holds the API token, `user@realm!name=uuid`; refused when others can read or write it." }),
  "proxmox.tls": setting(v.optional(oneOf(["auto"])), { type: "auto", default: "auto", description: "How the certificate is trusted. `auto`: this host's own Proxmox CA, or its own certificate. Instead: `caFile` or `fingerprint`." }),
  "proxmox.tls.caFile": setting(v.optional(path()), { type: "path", default: undefined, description: "Trust certificates signed by the CA in this PEM file." }),
  "proxmox.tls.fingerprint": setting(v.optional(certificateFingerprint()), { type: "fingerprint", default: undefined, description: "Trust exactly the certificate with this SHA-256 fingerprint." }),
  "proxmox.requestTimeout": setting(duration("1s", "10m"), { type: "duration", default: "30s", description: "Longest time one API request may take." }),
  "proxmox.maxConcurrentRequests": setting(wholeNumber(1, 64), { type: "number", default: "3", description: "API requests at the same time (1 to 64)." }),
  "host.enabled": setting(truthOrAuto(), { type: "true|false|auto", default: "auto", description: "Whether this host's own files tell of changes. `auto`: when `host.pveDir` holds a `.vmlist`." }),
  "host.pveDir": setting(path(), { type: "path", default: "/etc/pve", description: "Where Proxmox's cluster file system is mounted." }),
  "host.runDir": setting(path(), { type: "path", default: "/run", description: "Where the PID files of running guests are." }),
  "host.taskDir": setting(path(), { type: "path", default: "/var/log/pve/tasks", description: "Where Proxmox lists its tasks." }),
  "host.cgroupDir": setting(path(), { type: "path", default: "/sys/fs/cgroup", description: "Where control groups are mounted." }),
  "desired.source": setting(oneOf(["empty", "directory"]), { type: "empty|directory", default: "empty", description: "Where the desired state comes from. `empty` manages nothing." }),
  "desired.path": setting(v.optional(path()), { type: "path", default: undefined, description: "The directory of `desired.source: directory`." }),
  pollInterval: setting(duration("100ms", "1h"), { type: "duration", default: "1s", description: "How often changes are looked for over the API. The host's own files are looked at every 250 ms at least." }),
  resyncInterval: setting(duration("1s", "24h"), { type: "duration", default: "60s", description: "How often everything is read again." }),
  maxConcurrentActs: setting(wholeNumber(1, 256), { type: "number", default: "4", description: "Acts on different guests at the same time (1 to 256)." }),
  maxConcurrentStarts: setting(wholeNumber(1, 64), { type: "number", default: "2", description: "Guests starting at the same time (1 to 64)." }),
  maxAffectedPercent: setting(percent(), { type: "percent", default: "20", description: "A new revision that changes more of the guests than this, and at least 3, waits for `agent accept`." }),
  taskTimeout: setting(duration("1s", "24h"), { type: "duration", default: "10m", description: "How long a Proxmox task is waited for." }),
  shutdownTimeout: setting(duration("1s", "1h"), { type: "duration", default: "60s", description: "How long a guest is given to shut down." }),
  dryRun: setting(truth(), { type: "true|false", default: "false", description: "Plan and report, change nothing." }),
  "server.listen": setting(listenAddress(), { type: "address", default: ":9100", description: "Where health and metrics are served. `:9100`: on every address; `127.0.0.1:9100` narrows it." }),
  socket: setting(path(SOCKET_PATH_BYTES_MAX), { type: "path", default: "/run/steward/agent.sock", description: "The control socket of the command line." }),
  "log.level": setting(oneOf(LOG_LEVELS), { type: LOG_LEVELS.join("|"), default: "info", description: "The least important log lines that are written." }),
  "log.format": setting(oneOf(["auto", "json", "text"]), { type: "auto|json|text", default: "auto", description: "`auto`: text on a terminal, JSON lines elsewhere." }),
});

export type SettingKey = keyof typeof SettingsSchema.entries;
export type SettingValues = v.InferOutput<typeof SettingsSchema>;

/** One row of the table. */
export interface Setting extends SettingFacts {
  readonly key: SettingKey;
}

/** What `setting` attached to a schema. */
const FactsSchema = v.object({ type: v.string(), default: v.optional(v.string()), description: v.string() });

/** Every setting, in the order of the file. */
export const SETTINGS: readonly Setting[] = settingKeys().map((key) => ({ key, ...factsOf(key) }));

const KEYS: ReadonlySet<string> = new Set(SETTINGS.map(({ key }) => key));

export function isSettingKey(key: string): key is SettingKey {
  return KEYS.has(key);
}

/** Settings whose text is a path, relative ones allowed. */
export const PATH_SETTINGS: ReadonlySet<SettingKey> = new Set(SETTINGS.filter(({ type }) => type === "path").map(({ key }) => key));

/** Defaults as they would be written, for a host of this name. */
export function defaultTexts(hostname: string): ReadonlyMap<SettingKey, string> {
  // A node's name is the host's without its domain.
  const texts = SETTINGS.map((entry) => [entry.key, entry.key === "node" ? (hostname.split(".")[0] ?? "") : entry.default] as const);
  return new Map(texts.filter((pair): pair is readonly [SettingKey, string] => pair[1] !== undefined));
}

function settingKeys(): SettingKey[] {
  return Object.keys(SettingsSchema.entries).filter((key): key is SettingKey => key in SettingsSchema.entries);
}

function factsOf(key: SettingKey): SettingFacts {
  const facts = v.parse(FactsSchema, v.getMetadata(SettingsSchema.entries[key]));
  return { type: facts.type, default: facts.default, description: facts.description };
}
