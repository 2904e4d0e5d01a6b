import { X509Certificate } from "node:crypto";
import type { ApiToken } from "../config/token.ts";
import type { AgentConfig } from "../config/types.ts";
import type { Clock } from "../ports/clock.ts";
import { fault, ok, type Result } from "../ports/errors.ts";
import type { FileSystem } from "../ports/file-system.ts";
import type { Log } from "../ports/log.ts";
import type { ProxmoxApi, ProxmoxInspection, ProxmoxResult } from "../ports/proxmox-api.ts";
import type { Random } from "../ports/random.ts";
import { createProxmoxClient } from "../proxmox/client.ts";
import { openVerified } from "../proxmox/connect.ts";
import { cleanText } from "../proxmox/faults.ts";
import { TrustSource, type Trust } from "../proxmox/trust.ts";
import type { AnswerFacts, ApiFacts, CertificateFacts, ClockFacts, ConnectionFacts, TrustFacts } from "./facts.ts";

interface ApiOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly files: FileSystem;
  readonly version: string;
}

/** A person waits: the agent itself may be told to be more patient. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Port of an https URL that names none. */
const HTTPS_PORT = 443;

/** Connects, and asks what can be asked with the token. `paths`: where its privileges matter. */
export async function gatherApi(options: ApiOptions, config: AgentConfig, token: Result<ApiToken>, paths: readonly string[]): Promise<ApiFacts> {
  const connection = await connect(options, config);
  const who: Result<string> = token.ok ? ok(token.value.id) : token;
  if (!token.ok || connection.certificate?.ok !== true) return { connection, token: who, answers: undefined };
  const api = createProxmoxClient({
    ...options,
    url: config.proxmox.url,
    node: config.node,
    tls: config.proxmox.tls,
    pveDir: config.host.pveDir,
    readToken: () => ok(token.value.reveal()),
    requestTimeoutMs: Math.min(config.proxmox.requestTimeoutMs, REQUEST_TIMEOUT_MS),
    maxConcurrentRequests: config.proxmox.maxConcurrentRequests,
  });
  try {
    return { connection, token: who, answers: await ask(api, options.clock, config, paths) };
  } finally {
    api.close();
  }
}

async function connect({ clock, files }: ApiOptions, { proxmox, host, node }: AgentConfig): Promise<ConnectionFacts> {
  const url = new URL(proxmox.url);
  const endpoint = { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || HTTPS_PORT) };
  const source = new TrustSource({ tls: proxmox.tls, pveDir: host.pveDir, node, host: endpoint.host, files });
  const trust = source.current();
  if (!trust.ok) return { trust, certificate: undefined };
  const opened = await openVerified(endpoint, source, clock);
  if (!opened.ok) return { trust: ok(trustFacts(trust.value)), certificate: opened };
  const presented = opened.value.getPeerX509Certificate();
  opened.value.destroy();
  return { trust: ok(trustFacts(trust.value)), certificate: ok(certificateFacts(presented)) };
}

function trustFacts(trust: Trust): TrustFacts {
  if (trust.type === "pin") return { type: "pin", source: trust.source, authorityEndsMs: undefined };
  const ends = trust.certificates.map((pem) => Date.parse(new X509Certificate(pem).validTo));
  return { type: "ca", source: trust.source, authorityEndsMs: Math.min(...ends) };
}

function certificateFacts(certificate: X509Certificate | undefined): CertificateFacts {
  // openVerified hands over a connection only with a certificate on it.
  if (certificate === undefined) throw new Error("a verified connection without a certificate");
  return { subject: cleanText(certificate.subject), fingerprint: certificate.fingerprint256, endsMs: Date.parse(certificate.validTo) };
}

type Api = ProxmoxApi & ProxmoxInspection;

async function ask(api: Api, clock: Clock, config: AgentConfig, paths: readonly string[]): Promise<ProxmoxResult<AnswerFacts>> {
  // Everybody who may log in may ask for the version: a refusal of this is a refusal of the token.
  const version = await api.version();
  if (!version.ok) return version;
  const time = await askTime(api, clock);
  const [nodes, quorum] = await Promise.all([api.nodes(), api.hasQuorum()]);
  return ok({ version: version.value, clock: time, nodes, quorum, privileges: await askPrivileges(api, clock, paths, config.proxmox.maxConcurrentRequests) });
}

/** The header counts whole seconds: on average it is half a second old. */
const HEADER_HALF_MS = 500;

async function askTime(api: Api, clock: Clock): Promise<Result<ClockFacts | null>> {
  const [startedMs, beforeMs] = [clock.monotonic(), clock.now()];
  const told = await api.serverTime();
  if (!told.ok || told.value === null) return told.ok ? ok(null) : told;
  const roundTripMs = clock.monotonic() - startedMs;
  const middleMs = beforeMs + roundTripMs / 2;
  return ok({ skewMs: told.value + HEADER_HALF_MS - middleMs, uncertaintyMs: HEADER_HALF_MS + roundTripMs / 2 });
}

/** All questions about privileges together: some 3 ms each, so thousands of guests fit. */
const PRIVILEGES_TIME_MS = 12_000;

/** Asks path by path: the listing of all would not tell a path where everything was taken away. */
async function askPrivileges(api: Api, clock: Clock, paths: readonly string[], lanes: number): Promise<ReadonlyMap<string, Result<ReadonlySet<string>>>> {
  const answers = new Map<string, Result<ReadonlySet<string>>>();
  const latestMs = clock.monotonic() + PRIVILEGES_TIME_MS;
  const waiting = paths[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (const path of waiting) {
      answers.set(path, clock.monotonic() > latestMs ? fault("doctor.not_gathered", "no time left to ask") : await api.permissions(path));
    }
  };
  await Promise.all(Array.from({ length: lanes }, work));
  return answers;
}
