import type { LoadedConfig } from "../config/load.ts";
import type { AgentConfig } from "../config/types.ts";
import type { DesiredReport } from "../desired/model.ts";
import type { PveVersion } from "../guest/host-facts.ts";
import type { Verification } from "../journal/verify.ts";
import type { Result } from "../ports/errors.ts";
import type { FileStatus } from "../ports/file-system.ts";
import type { ClusterNode, ProxmoxFault, ProxmoxResult } from "../ports/proxmox-api.ts";

/**
 * Everything the checks judge, as plain data: gathered first, judged after, so that each judgement can
 * be tested with facts that no machine at hand has. What could not be learned is a fault, never absent.
 */

/** Variables that matter, seen in one process; undefined where its environment may not be read. */
export interface EnvironmentFacts {
  /** "this command", "the running agent (pid 7)". */
  readonly who: string;
  /** Names only: values may be secrets. */
  readonly variables: readonly string[] | undefined;
}

/** The agent that runs now, as its control socket tells. */
export type AgentFacts =
  | {
      readonly state: "running";
      readonly pid: number;
      readonly version: string;
      readonly node: string;
      /** Why the newest config is not in force; empty when it is. */
      readonly configProblem: string;
      /** Host conditions that are not as they must be, in words. */
      readonly troubles: readonly string[];
    }
  | { readonly state: "absent" }
  /** Something is behind the socket, but whether it is an agent cannot be told. */
  | { readonly state: "unclear"; readonly message: string };

export const FILE_PURPOSES = ["config", "token", "tokenDirectory", "stateDirectory", "journalDirectory", "journalSegment", "socket", "desiredDirectory"] as const;
export type FilePurpose = (typeof FILE_PURPOSES)[number];

/** A file the agent trusts or keeps. */
export interface FileFacts {
  readonly purpose: FilePurpose;
  readonly path: string;
  readonly status: Result<FileStatus>;
}

/** What the sync probe measured. */
export interface SyncFacts {
  readonly syncs: number;
  readonly seconds: number;
  /** The slowest one. */
  readonly slowestMs: number;
}

export interface DiskFacts {
  /** Whether the state directory is there at all: the agent makes it at its first start. */
  readonly isPresent: boolean;
  readonly freeBytes: Result<number>;
  readonly sync: Result<SyncFacts>;
}

/** Who listens where the health server wants to. */
export type PortFacts =
  | { readonly state: "any" }
  | { readonly state: "free" }
  | { readonly state: "ours" }
  /** Somebody listens; it may be the running agent, whose open files this user may not see. */
  | { readonly state: "taken"; readonly mayBeOurs: boolean }
  | { readonly state: "unknown"; readonly message: string };

export interface ListenFacts {
  readonly port: PortFacts;
  /** Whether the address is one of this host's; wildcards are. */
  readonly isOwnAddress: boolean;
  /** Ports below this are for root; 0 when that is not so. */
  readonly firstFreePort: number;
}

export interface JournalFacts {
  readonly directory: string;
  readonly verified: Result<Verification>;
  /** When the newest record was written, milliseconds since the epoch; undefined without one. */
  readonly newestRecordMs: number | undefined;
}

export interface HostFacts {
  /** As the config has it. */
  readonly enabled: boolean | "auto";
  /** Whether pveDir holds a .vmlist. */
  readonly isPresent: boolean;
  /** Files that cannot be used, with the reason. Empty when nothing was read. */
  readonly problems: readonly { readonly path: string; readonly message: string }[];
  /** Guests of this node in .vmlist. */
  readonly guests: number;
}

/** How the certificate is trusted, from the config and its files. */
export interface TrustFacts {
  readonly type: "ca" | "pin";
  /** The file or setting it comes from. */
  readonly source: string;
  /** When the first of the CA's certificates ends; undefined for a pin. */
  readonly authorityEndsMs: number | undefined;
}

export interface CertificateFacts {
  readonly subject: string;
  readonly fingerprint: string;
  readonly endsMs: number;
}

export interface ConnectionFacts {
  readonly trust: ProxmoxResult<TrustFacts>;
  /** Undefined when there was nothing to trust: then no connection was tried. */
  readonly certificate: ProxmoxResult<CertificateFacts> | undefined;
}

/** The host's clock against this machine's. */
export interface ClockFacts {
  /** Host minus here, milliseconds. */
  readonly skewMs: number;
  /** How far off that may be: half a second of the header's seconds and half the round trip. */
  readonly uncertaintyMs: number;
}

/** What Proxmox answered to this token. */
export interface AnswerFacts {
  readonly version: PveVersion;
  readonly clock: Result<ClockFacts | null>;
  readonly nodes: Result<readonly ClusterNode[]>;
  readonly quorum: Result<boolean | null>;
  /** What the token may do, by path, for every path that was asked about in time. */
  readonly privileges: ReadonlyMap<string, Result<ReadonlySet<string>>>;
}

export interface ApiFacts {
  readonly connection: ConnectionFacts;
  /** Who the token is ("user@realm!name"), from its file. */
  readonly token: Result<string>;
  /** Undefined when nothing was asked: no connection, or no token. */
  readonly answers: { readonly ok: true; readonly value: AnswerFacts } | { readonly ok: false; readonly error: ProxmoxFault } | undefined;
}

/** Facts that only a config that loads leads to. */
export interface ConfiguredFacts {
  readonly config: AgentConfig;
  readonly loaded: LoadedConfig;
  /** Wall clock when the facts were gathered. */
  readonly nowMs: number;
  /** This program's version. */
  readonly version: string;
  /** Who runs this command, and whose the agent's files are. */
  readonly ownUid: number;
  readonly agentUid: number;
  readonly agent: Result<AgentFacts>;
  readonly files: Result<readonly FileFacts[]>;
  readonly disk: Result<DiskFacts>;
  readonly listen: Result<ListenFacts>;
  readonly journal: Result<JournalFacts>;
  readonly host: Result<HostFacts>;
  readonly desired: Result<DesiredReport>;
  readonly api: Result<ApiFacts>;
}

export interface Facts {
  /** Where the settings were looked for, and what came of it. */
  readonly configured: Result<ConfiguredFacts>;
  readonly environments: readonly EnvironmentFacts[];
}
