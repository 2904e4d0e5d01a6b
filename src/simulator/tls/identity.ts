import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { Random } from "../../ports/random.ts";
import { readFileIfThere, replaceFile } from "../files.ts";
import { fingerprintOf, makeAuthority, makeLeaf, type Certificate } from "./certificates.ts";

/**
 * Who the simulated node is on the wire: an authority and a leaf, made once and kept in `directory`
 * under the names a host has them (pve-root-ca.pem, pve-ssl.pem), keys beside them readable by the
 * owner alone. A leaf that is out of date or lacks a host is made anew; the authority stays.
 */
export interface NodeIdentity {
  readonly authorityPem: string;
  readonly leaf: Certificate;
  /** SHA-256 of the leaf, "AB:CD:…". */
  readonly fingerprint: string;
}

export interface IdentityOptions {
  readonly nodeName: string;
  /** The address listened on; the loopback ones are always covered. */
  readonly hostname: string;
  readonly random: Random;
  readonly nowMs: number;
  /** Left out: the certificates live in memory only. */
  readonly directory?: string | undefined;
}

const SERIAL_BYTES = 16;
const PRIVATE_MODE = 0o600;
const PUBLIC_MODE = 0o644;

/** Loads or makes the certificates. Throws when `directory` cannot be written. */
export function prepareIdentity(options: IdentityOptions): NodeIdentity {
  const { directory, nowMs } = options;
  const authority =
    load(directory, "pve-root-ca", nowMs) ?? save(directory, "pve-root-ca", makeAuthority(nowMs, serial(options.random)));
  const hosts = [...new Set(["127.0.0.1", "::1", "localhost", options.hostname, options.nodeName])];
  const kept = load(directory, "pve-ssl", nowMs);
  const isKept = kept !== undefined && isLeafFor(kept, authority, hosts);
  const leaf = isKept
    ? kept
    : save(
        directory,
        "pve-ssl",
        makeLeaf(authority, { nodeName: options.nodeName, hosts, nowMs, serial: serial(options.random) }),
      );
  return { authorityPem: authority.certificatePem, leaf, fingerprint: fingerprintOf(leaf.certificatePem) };
}

/** A serial number is positive and not zero (RFC 5280 §4.1.2.2). */
function serial(random: Random): Uint8Array {
  const bytes = Uint8Array.from(random.bytes(SERIAL_BYTES));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

function load(directory: string | undefined, name: string, nowMs: number): Certificate | undefined {
  if (directory === undefined) return undefined;
  const certificatePem = readFileIfThere(join(directory, `${name}.pem`));
  const privateKeyPem = readFileIfThere(join(directory, `${name}.key`));
  if (certificatePem === undefined) return undefined;
  if (privateKeyPem === undefined) throw foreignCertificate(directory, name);
  const isCurrent = Date.parse(new X509Certificate(certificatePem).validTo) > nowMs;
  return isCurrent ? { certificatePem, privateKeyPem } : undefined;
}

/** A certificate without its key beside it is not the simulator's: a real host's /etc/pve looks like this. */
function foreignCertificate(directory: string, name: string): Error {
  return new Error(
    `${directory} holds ${name}.pem without ${name}.key, so it was not made by the simulator and is left alone: give another --tls-dir`,
  );
}

function save(directory: string | undefined, name: string, certificate: Certificate): Certificate {
  if (directory === undefined) return certificate;
  replaceFile(join(directory, `${name}.key`), certificate.privateKeyPem, PRIVATE_MODE);
  replaceFile(join(directory, `${name}.pem`), certificate.certificatePem, PUBLIC_MODE);
  return certificate;
}

function isLeafFor(leaf: Certificate, authority: Certificate, hosts: readonly string[]): boolean {
  const parsed = new X509Certificate(leaf.certificatePem);
  const isSigned = parsed.verify(new X509Certificate(authority.certificatePem).publicKey);
  return isSigned && hosts.every((host) => (parsed.checkHost(host) ?? parsed.checkIP(host)) !== undefined);
}
