import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import { parseTokenSecrets } from "./access/user-config.ts";
import type { SimulatedNode, StartState } from "./api.ts";
import type { FaultBoard } from "./control/faults.ts";
import { replaceFile } from "./files.ts";
import { createNode } from "./host/node.ts";
import type { ConnectionCounts } from "./http/listener.ts";
import type { RequestLog } from "./http/request-log.ts";
import { serveNode } from "./serve.ts";
import { completeStartState, generateHost, TOKEN_CONFIG_PATH } from "./start-state.ts";
import { prepareIdentity } from "./tls/identity.ts";

/**
 * The simulator: a Proxmox VE host behind its real HTTPS interface, for tests, the demo and
 * `agent simulate`. It answers as a recorded Proxmox VE 9.2 did and is never kinder; faults are set over
 * a second port. It leaves to others: what to do with it, and everything a single node does not have
 * (other nodes, a firewall, backups that hold data).
 */

export interface SimulatorOptions {
  readonly listen: { readonly hostname: string; /** 0: any free port. */ readonly port: number };
  /** Guests to make up; ignored when `startState` is given. */
  readonly guests: number;
  /** The same guests for the same seed. */
  readonly seed: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Gets "user@realm!name=secret" and a newline, mode 0600. */
  readonly tokenFile?: string | undefined;
  /** Holds the certificates, pve-root-ca.pem among them; made on the first start, kept after. */
  readonly tlsDir?: string | undefined;
  /** Is kept like a host's /etc/pve, /var/log/pve/tasks and run files. */
  readonly hostDir?: string | undefined;
  /** Proxmox waits 3,000 ms before it refuses a caller. */
  readonly authDelayMs?: number | undefined;
  /** Raw files to start from; users and token secrets are added where they are missing. */
  readonly startState?: StartState | undefined;
  /** Name of the node; pve1 if left out. */
  readonly nodeName?: string | undefined;
}

export interface RunningSimulator {
  /** "https://127.0.0.1:8006". */
  readonly url: string;
  /** The cluster's authority, for a client's `ca`. */
  readonly caPem: string;
  /** SHA-256 of the node's certificate, "AB:CD:…". */
  readonly fingerprint: string;
  /** "root@pam!agent=…": what follows `PVEAPIToken=`. */
  readonly token: string;
  /** Every token, "user@realm!name" → its secret. */
  readonly secrets: ReadonlyMap<string, string>;
  /** "http://127.0.0.1:PORT": the port that takes faults and edits. */
  readonly controlUrl: string;
  readonly node: SimulatedNode;
  readonly requestLog: RequestLog;
  readonly faults: FaultBoard;
  counts(): ConnectionCounts;
  stop(): Promise<void>;
}

const DEFAULT_NODE_NAME = "pve1";
const DEFAULT_AUTH_DELAY_MS = 3_000;
const TOKEN_FILE_MODE = 0o600;
const PREFERRED_TOKEN = "root@pam!agent";

/** Starts a host. Rejects with a message for people when a port, directory or start state cannot be used. */
export async function startSimulator(options: SimulatorOptions): Promise<RunningSimulator> {
  const { clock, random } = options;
  const name = options.nodeName ?? DEFAULT_NODE_NAME;
  const identity = prepareIdentity({
    nodeName: name,
    hostname: options.listen.hostname,
    random,
    nowMs: clock.now(),
    directory: options.tlsDir,
  });
  const generated = generateHost(name, options.startState === undefined ? options.guests : 0, options.seed);
  const startState = completeStartState(options.startState ?? generated.startState, random);
  const token = pickToken(parseTokenSecrets(startState.files[TOKEN_CONFIG_PATH] ?? ""));
  const node = createNode({ name, clock, random, startState, fingerprint: identity.fingerprint });
  for (const vmid of generated.running) await startGuest(node, vmid);
  const served = await serveNode({
    node,
    identity,
    startState,
    hostname: options.listen.hostname,
    port: options.listen.port,
    hostDir: options.hostDir,
    authDelayMs: options.authDelayMs ?? DEFAULT_AUTH_DELAY_MS,
    clock,
    random,
  });
  if (options.tokenFile !== undefined) replaceFile(options.tokenFile, `${token}\n`, TOKEN_FILE_MODE);
  const { port, ...rest } = served;
  const { authorityPem: caPem, fingerprint } = identity;
  return { ...rest, url: formatUrl(options.listen.hostname, port), caPem, fingerprint, token, node };
}

function formatUrl(hostname: string, port: number): string {
  return `https://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

function pickToken(secrets: ReadonlyMap<string, string>): string {
  const [id, secret] = [...secrets].find(([name]) => name === PREFERRED_TOKEN) ?? [...secrets][0] ?? [];
  if (id === undefined || secret === undefined) throw new Error("the start state's user.cfg has no token: add one, nobody can log in without");
  return `${id}=${secret}`;
}

async function startGuest(node: SimulatedNode, vmid: number): Promise<void> {
  const started = await node.edit({ vmid, power: "start" });
  if (!started.ok) throw new Error(`guest ${vmid} of the generated host does not start: ${started.message}`);
}
