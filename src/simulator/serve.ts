import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import { createAccessControl } from "./access/access.ts";
import type { SimulatedNode, StartState } from "./api.ts";
import { startControlServer } from "./control/control-server.ts";
import { createFaultBoard, type FaultBoard } from "./control/faults.ts";
import { keepHostFiles, type HostFiles } from "./host-files.ts";
import { createApiApplication } from "./http/api-application.ts";
import { listen, type ConnectionCounts } from "./http/listener.ts";
import { createRequestLog, type RequestLog } from "./http/request-log.ts";
import { TOKEN_CONFIG_PATH, USER_CONFIG_PATH } from "./start-state.ts";
import type { NodeIdentity } from "./tls/identity.ts";

/** Puts a node behind its ports: HTTPS as Proxmox answers it, the control port, the files of a host. */

export interface ServeOptions {
  readonly node: SimulatedNode;
  readonly identity: NodeIdentity;
  /** user.cfg and priv/token.cfg are read from it. */
  readonly startState: StartState;
  readonly hostname: string;
  readonly port: number;
  readonly hostDir: string | undefined;
  readonly authDelayMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

export interface ServedNode {
  readonly port: number;
  readonly controlUrl: string;
  readonly requestLog: RequestLog;
  readonly faults: FaultBoard;
  /** "user@realm!name" → its secret. */
  readonly secrets: ReadonlyMap<string, string>;
  counts(): ConnectionCounts;
  /** Closes ports and connections and leaves the files as they are. */
  stop(): Promise<void>;
}

/** Opens everything; rejects when a port is taken or the start state is not understood. */
export async function serveNode(options: ServeOptions): Promise<ServedNode> {
  const { node, clock, random, startState } = options;
  const access = createAccessControl(startState.files[USER_CONFIG_PATH] ?? "", startState.files[TOKEN_CONFIG_PATH] ?? "");
  const files: HostFiles | undefined =
    options.hostDir === undefined ? undefined : keepHostFiles(options.hostDir, node, clock);
  const faults = createFaultBoard({
    random,
    addHostFault: (fault) => node.addFault(fault),
    onMountChange: (isMounted) => files?.setMounted(isMounted),
  });
  const log = createRequestLog(clock);
  const application = createApiApplication({ node, access, faults, log, clock, authDelayMs: options.authDelayMs });
  const { hostname, port, identity } = options;
  const listener = await listen({ hostname, port, leaf: identity.leaf, application, clock }).catch((error: unknown) => {
    files?.stop();
    node.stop();
    throw error;
  });
  const control = startControlServer({ node, faults, log, counts: () => listener.counts() });
  return {
    port: listener.port,
    controlUrl: control.url,
    requestLog: log,
    faults,
    secrets: access.secrets,
    counts: () => listener.counts(),
    stop: async () => {
      files?.stop();
      node.stop();
      await Promise.all([listener.close(), control.close()]);
    },
  };
}
