import { readToken, type ApiToken } from "./config/token.ts";
import type { AgentConfig } from "./config/types.ts";
import type { DesiredSource } from "./desired/model.ts";
import { createDesiredSource } from "./desired/sources.ts";
import type { Clock } from "./ports/clock.ts";
import type { Result } from "./ports/errors.ts";
import type { FileSystem } from "./ports/file-system.ts";
import type { Log } from "./ports/log.ts";
import type { ProxmoxApi } from "./ports/proxmox-api.ts";
import type { Random } from "./ports/random.ts";
import { createProxmoxClient } from "./proxmox/client.ts";
import { createHostWatcher } from "./proxmox/host-watcher.ts";
import { FileHostSource } from "./reconcile/host-file-source.ts";
import { ApiHostSource, type HostSource } from "./reconcile/host-source.ts";
import { VERSION } from "./version.ts";

/** The world outside, as every part is given it. */
export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly fileSystem: FileSystem;
  /** The agent's own user id, for file ownership checks. */
  readonly userId: number;
  /** Makes a question whether a file can be read without being stuck in it; without it each can. */
  readonly probe?: (path: string) => () => Promise<boolean>;
}

/** What a config makes: everything that reads Proxmox and the desired state. Close it before making another. */
export interface Parts {
  readonly api: ProxmoxApi;
  readonly source: HostSource;
  readonly desired: DesiredSource;
  /** user@realm!token as UPIDs name it; undefined while the token cannot be read. */
  readonly tokenUser: () => string | undefined;
  close(): void;
}

/** Told of every HTTP request: its method, status ("0" when there was none) and duration. */
export type OnRequest = NonNullable<Parameters<typeof createProxmoxClient>[0]["onRequest"]>;

/** Builds the parts of a config. Nothing is read or sent yet. */
export function createParts(config: AgentConfig, world: World, onRequest?: OnRequest): Parts {
  const { clock, random, log, fileSystem } = world;
  let token: ApiToken | undefined;
  const api = createProxmoxClient({
    url: config.proxmox.url,
    node: config.node,
    tls: config.proxmox.tls,
    pveDir: config.host.pveDir,
    files: fileSystem,
    readToken: (): Result<string> => {
      const read = readToken(config.proxmox.tokenFile, { files: fileSystem, userId: world.userId });
      if (!read.ok) return read;
      token = read.value;
      return { ok: true, value: read.value.reveal() };
    },
    requestTimeoutMs: config.proxmox.requestTimeoutMs,
    maxConcurrentRequests: config.proxmox.maxConcurrentRequests,
    clock, random, log,
    version: VERSION,
    ...(onRequest === undefined ? {} : { onRequest }),
  });
  return {
    api,
    source: createSource(config, world, api),
    desired: createDesiredSource(config.desired, { clock, log }),
    tokenUser: () => token?.id,
    close: () => api.close(),
  };
}

function createSource(config: AgentConfig, { log, fileSystem, clock, probe }: World, api: ProxmoxApi): HostSource {
  const { enabled, ...directories } = config.host;
  const watcher = createHostWatcher({ ...directories, procDir: "/proc", node: config.node, files: fileSystem, clock });
  const answers = probe?.(`${directories.pveDir}/.version`);
  const isOnHost = enabled === "auto" ? watcher.isPresent() : enabled;
  return isOnHost ? new FileHostSource({ watcher, api, log, node: config.node, ...(answers === undefined ? {} : { answers }) }) : new ApiHostSource({ api, node: config.node });
}

/** Where the desired state comes from, in words. */
export function describeDesired(desired: AgentConfig["desired"]): string {
  return desired.source === "directory" ? `directory ${desired.path}` : desired.source;
}
