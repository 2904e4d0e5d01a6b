import type { ProxmoxFault } from "../ports/proxmox-api.ts";
import { cleanText, noAnswerFault, unexpectedAnswerFault, unreachableFault } from "./faults.ts";

/** An answer as it came: the reason phrase carries Proxmox's text where the body is not JSON. */
export interface ApiAnswer {
  readonly status: number;
  readonly reason: string;
  readonly body: string;
  /** The Date header as it came. */
  readonly date?: string | undefined;
}

/** What the answer says, once read. */
interface Refusal {
  readonly status: number;
  readonly text: string;
  readonly errors: Readonly<Record<string, string>>;
  /** Start of every message: the request and what Proxmox said. */
  readonly said: string;
}

/** Whether an HTTP status says that the request was carried out. */
export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/**
 * Names what an answer outside 2xx means (docs/proxmox.md, "Transport and API behaviour"). Pure; every row is
 * tested with the text a Proxmox VE 9.2 gave. `where` is the request for the message, e.g. "PUT /nodes/pve1/qemu/101/config".
 */
export function classifyAnswer(answer: ApiAnswer, where: string): ProxmoxFault {
  const refusal = readRefusal(answer, where);
  const { status, said } = refusal;
  const answered = { delivery: "answered", status } as const;
  switch (status) {
    case 400:
      return { code: "proxmox.bad_parameter", message: describeParameters(refusal), parameters: refusal.errors, ...answered };
    case 401:
      return {
        code: "proxmox.unauthenticated",
        message: `${said}. The API token is wrong, expired or was removed (Proxmox does not say which); check tokenFile, or make a new token`,
        ...answered,
      };
    case 403:
      return { code: "proxmox.forbidden", message: `${said}. Give the token's role what is missing`, missing: missingPrivilege(refusal.text), ...answered };
    case 503:
      return { code: "proxmox.transient", message: `${said}; try again later`, isReadOnlyCluster: false, ...answered };
    case 595:
      return { ...unreachableFault(`${said}. pveproxy runs, but what it passes requests to does not: check pvedaemon (or that node)`), status };
    default:
      return classifyOther(refusal);
  }
}

/** Gateway failures after the request had been passed on: 596 and up are the proxy's own, 502 and 504 of one in between. */
const UNKNOWN_OUTCOME = new Set([502, 504, 596, 597, 598, 599]);

function classifyOther(refusal: Refusal): ProxmoxFault {
  const { status, said } = refusal;
  if (UNKNOWN_OUTCOME.has(status)) return { ...noAnswerFault(`${said}: the request was passed on, its outcome is unknown`), status };
  // Proxmox's API never redirects: something else answers, and what it did with the request is unknown.
  if (status < 400) return unexpectedAnswerFault(`${said}: expected 200 from Proxmox's API; check proxmox.url`, "unknown", status);
  return classifyText(refusal) ?? { code: "proxmox.other", message: said, delivery: "answered", status };
}

/** Proxmox gives nearly every refusal the status 500; only its text tells them apart. */
function classifyText({ status, text, said }: Refusal): ProxmoxFault | undefined {
  const answered = { delivery: "answered", status } as const;
  const lock = /\b(?:VM|CT) is locked \(([^()]*)\)/.exec(text)?.[1];
  if (lock !== undefined) return { code: "proxmox.locked", message: said, lock, ...answered };
  for (const { pattern, kind } of TEXTS) {
    if (!pattern.test(text)) continue;
    switch (kind) {
      case "proxmox.lock_timeout":
        return { code: kind, message: `${said}. Another task holds the guest's file lock; wait for it to end`, ...answered };
      case "proxmox.digest_conflict":
        return { code: kind, message: `${said}. The configuration changed since it was read`, ...answered };
      case "proxmox.guest_missing":
        return { code: kind, message: `${said}. The guest was destroyed, or moved to another node`, ...answered };
      case "read_only_cluster":
        return { code: "proxmox.transient", message: `${said}. /etc/pve cannot be written: check quorum (pvecm status)`, isReadOnlyCluster: true, ...answered };
      case "cluster_service_down":
        return { code: "proxmox.transient", message: `${said}. The cluster file system is not answering: check pve-cluster`, isReadOnlyCluster: false, ...answered };
    }
  }
  return undefined;
}

type TextKind = "proxmox.lock_timeout" | "proxmox.digest_conflict" | "proxmox.guest_missing" | "read_only_cluster" | "cluster_service_down";

/** In this order: a text about a lock may name a file below /etc/pve. */
const TEXTS: readonly { readonly pattern: RegExp; readonly kind: TextKind }[] = [
  { pattern: /no quorum/, kind: "read_only_cluster" },
  { pattern: /can't lock file '.*' - got timeout|got lock request timeout|got lock timeout/, kind: "proxmox.lock_timeout" },
  { pattern: /checksum mismatch \(file change by other user\?\)/, kind: "proxmox.digest_conflict" },
  { pattern: /detected modified configuration - file changed by other user\?/, kind: "proxmox.digest_conflict" },
  { pattern: /Configuration file '.*' does not exist/, kind: "proxmox.guest_missing" },
  { pattern: /RPCEnvironment init request failed/, kind: "cluster_service_down" },
  { pattern: /ipcc_send_rec\[\d+\] failed|Unable to load access control list/, kind: "cluster_service_down" },
  { pattern: /\/etc\/pve\b.*(?:Transport endpoint is not connected|Software caused connection abort)/, kind: "cluster_service_down" },
  { pattern: /Read-only file system/, kind: "read_only_cluster" },
  // Without quorum pmxcfs refuses writes below /etc/pve with EACCES, to root too.
  { pattern: /(?:\/etc\/pve\b|\bnodes\/).*Permission denied/, kind: "read_only_cluster" },
];

/** `(path, privilege)` as Proxmox writes it, or the sentence it gives instead. */
function missingPrivilege(text: string): string {
  return /\(\/[^()]*, [^()]+\)/.exec(text)?.[0] ?? /\((.+)\)\s*$/.exec(text)?.[1] ?? text;
}

function describeParameters({ said, errors }: Refusal): string {
  const each = Object.entries(errors).map(([name, problem]) => `${name}: ${problem}`);
  return each.length === 0 ? said : cleanText(`${said} ${each.join("; ")}`);
}

function readRefusal({ status, reason, body }: ApiAnswer, where: string): Refusal {
  const json = parseObject(body);
  const message = typeof json?.["message"] === "string" ? cleanText(json["message"]) : "";
  const text = message === "" ? cleanText(reason) : message;
  return { status, text, errors: readErrors(json?.["errors"]), said: `${where}: Proxmox answered ${status} ${text}`.trimEnd() };
}

/** Parameters named in one 400; Proxmox's largest schema has some hundreds of keys. */
const ERRORS_MAX = 100;

function readErrors(errors: unknown): Record<string, string> {
  if (typeof errors !== "object" || errors === null) return {};
  const entries = Object.entries(errors).slice(0, ERRORS_MAX);
  return Object.fromEntries(entries.map(([name, problem]) => [cleanText(name), cleanText(String(problem))]));
}

function parseObject(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    // 401, 595, 596 and a missing pmxcfs come without a JSON body: the reason phrase is the text.
    return undefined;
  }
}
