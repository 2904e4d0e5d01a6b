import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { FileSystem } from "../ports/file-system.ts";
import { ok, fail } from "../ports/errors.ts";
import type { ProxmoxResult } from "../ports/proxmox-api.ts";
import { untrustedFault } from "./faults.ts";

/** How the operator wants the API's certificate to be trusted (the shape of config's `proxmox.tls`). */
export type TlsTrust = "auto" | { readonly caFile: string } | { readonly fingerprint: string };

/** What a presented certificate is held against. `source` says where it came from, for messages. */
export type Trust =
  | { readonly type: "ca"; readonly certificates: readonly string[]; readonly fingerprints: readonly string[]; readonly names: readonly string[]; readonly source: string }
  | { readonly type: "pin"; readonly fingerprint: string; readonly source: string };

export interface TrustOptions {
  readonly tls: TlsTrust;
  readonly pveDir: string;
  readonly node: string;
  /** Host of the URL, without brackets. */
  readonly host: string;
  readonly files: Pick<FileSystem, "readFile">;
}

/**
 * What is trusted, read when first needed and again, once, when a certificate does not fit: Proxmox renews
 * certificates by itself (ACME, pvecm updatecerts) while the agent runs.
 */
export class TrustSource {
  readonly #options: TrustOptions;
  #trust: Trust | undefined;

  constructor(options: TrustOptions) {
    this.#options = options;
  }

  current(): ProxmoxResult<Trust> {
    if (this.#trust !== undefined) return ok(this.#trust);
    const read = readTrust(this.#options);
    if (read.ok) this.#trust = read.value;
    return read;
  }

  /** Reads the files again; what is now trusted when that differs from `before`, else undefined. */
  rereadUnlike(before: Trust): Trust | undefined {
    const read = readTrust(this.#options);
    if (!read.ok) return undefined;
    this.#trust = read.value;
    return trustDigest(read.value) === trustDigest(before) ? undefined : read.value;
  }
}

function trustDigest(trust: Trust): string {
  return trust.type === "pin" ? trust.fingerprint : trust.fingerprints.join(",");
}

function readTrust(options: TrustOptions): ProxmoxResult<Trust> {
  const { tls, host, node, pveDir } = options;
  if (tls === "auto") return readAutoTrust(options);
  if ("fingerprint" in tls) return ok({ type: "pin", fingerprint: normalFingerprint(tls.fingerprint), source: "proxmox.tls.fingerprint" });
  // An operator's own CA may sign for many hosts: only the name in the URL counts, unlike with the cluster's CA.
  const read = readCertificates(options, tls.caFile);
  if (read === "absent") return fail(untrustedFault(`${tls.caFile} (proxmox.tls.caFile) does not exist (node ${node}, ${pveDir} was not looked at); give the path of a PEM file`));
  return read.ok ? ok(caTrust(read.value, [host], tls.caFile)) : read;
}

/** `local` is a link to `nodes/<node>`; the second path serves copies of /etc/pve that lack the link. */
function readAutoTrust(options: TrustOptions): ProxmoxResult<Trust> {
  const { pveDir, node, host } = options;
  for (const path of [`${pveDir}/local/pveproxy-ssl.pem`, `${pveDir}/nodes/${node}/pveproxy-ssl.pem`]) {
    const own = readCertificates(options, path);
    if (own === "absent") continue;
    if (!own.ok) return own;
    const [leaf] = own.value;
    if (leaf !== undefined) return ok({ type: "pin", fingerprint: leaf.fingerprint256, source: path });
  }
  const path = `${pveDir}/pve-root-ca.pem`;
  const authority = readCertificates(options, path);
  if (authority === "absent") return fail(untrustedFault(`tls: auto needs ${path}, which does not exist; off a Proxmox host set proxmox.tls to a caFile or fingerprint`));
  // The cluster's CA signs node certificates only, so a certificate for this node's name is this node's.
  return authority.ok ? ok(caTrust(authority.value, [host, node], path)) : authority;
}

function caTrust(certificates: readonly X509Certificate[], names: readonly string[], source: string): Trust {
  return {
    type: "ca",
    certificates: certificates.map((certificate) => certificate.toString()),
    fingerprints: certificates.map((certificate) => certificate.fingerprint256),
    names,
    source,
  };
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function readCertificates({ files }: TrustOptions, path: string): ProxmoxResult<readonly X509Certificate[]> | "absent" {
  const read = files.readFile(path);
  if (!read.ok && read.error.code === "file.not_found") return "absent";
  if (!read.ok) return fail(untrustedFault(`cannot read ${path}: ${read.error.message}; on a Proxmox host the agent's user must be in group www-data`));
  const blocks = new TextDecoder().decode(read.value).match(PEM_CERTIFICATE) ?? [];
  try {
    const certificates = blocks.map((block) => new X509Certificate(block));
    if (certificates.length > 0) return ok(certificates);
  } catch {
    // Half-written or damaged: the same answer as no certificate at all.
  }
  return fail(untrustedFault(`${path} holds no readable PEM certificate; nothing is trusted until it does`));
}

/** Upper-case hex pairs joined with colons, as Node and Proxmox's GUI print it. */
function normalFingerprint(text: string): string {
  return (text.toUpperCase().replace(/[^0-9A-F]/g, "").match(/.{2}/g) ?? []).join(":");
}

/** Why a certificate is not trusted, for a message; undefined when it is. A CA's signature was checked by the handshake. */
export function distrust(trust: Trust, presented: X509Certificate): string | undefined {
  if (trust.type === "pin") {
    if (presented.fingerprint256 === trust.fingerprint) return undefined;
    return describeMismatch(trust, presented.fingerprint256);
  }
  if (trust.names.some((name) => isCertificateFor(presented, name))) return undefined;
  const held = presented.subjectAltName ?? presented.subject;
  return `the certificate is signed by ${trust.source}, but not for ${trust.names.join(" or ")} (it is for ${held}); use one of its names in proxmox.url`;
}

function isCertificateFor(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

/** The message of a mismatch: what was expected, what was presented, what to do. */
export function describeMismatch(trust: Trust, presented: string | undefined): string {
  const expected = trust.type === "pin" ? `the certificate ${trust.fingerprint}` : `a certificate signed by the CA ${trust.fingerprints.join(", ")}`;
  return (
    `expected ${expected} (from ${trust.source}), found ${presented ?? "one that could not be read"}; nothing was sent. ` +
    "If Proxmox's certificate was replaced on purpose, correct proxmox.tls; otherwise something else is listening there"
  );
}
