/** The agent's own settings, checked and with defaults filled in. Times are milliseconds. */
export interface AgentConfig {
  readonly node: string;
  readonly stateDir: string;
  readonly proxmox: {
    readonly url: string;
    readonly tokenFile: string;
    readonly tls: TlsTrust;
    readonly requestTimeoutMs: number;
    readonly maxConcurrentRequests: number;
  };
  readonly host: {
    /** "auto": on when pveDir holds a .vmlist. */
    readonly enabled: boolean | "auto";
    readonly pveDir: string;
    readonly runDir: string;
    readonly taskDir: string;
    readonly cgroupDir: string;
  };
  readonly desired: { readonly source: "empty" } | { readonly source: "directory"; readonly path: string };
  readonly pollIntervalMs: number;
  readonly resyncIntervalMs: number;
  readonly maxConcurrentActs: number;
  readonly maxConcurrentStarts: number;
  readonly maxAffectedPercent: number;
  readonly taskTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly dryRun: boolean;
  readonly server: { readonly hostname: string; readonly port: number };
  readonly socket: string;
  readonly log: { readonly level: LogLevel; readonly format: "auto" | "json" | "text" };
}

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** How the API's certificate is trusted. There is no way to trust anything. */
export type TlsTrust = "auto" | { readonly caFile: string } | { readonly fingerprint: string };
