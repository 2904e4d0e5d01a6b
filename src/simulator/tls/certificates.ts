import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, X509Certificate } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import * as der from "./der.ts";

/**
 * The certificates a Proxmox cluster has: its own authority (/etc/pve/pve-root-ca.pem) and a leaf for
 * the node signed by it, with names as Proxmox writes them. P-256 instead of Proxmox's RSA: nothing a
 * client can tell apart matters here, and a key takes no second to find.
 * Key generation draws from the system, not from ports/random.ts: a key must not follow a seed.
 */

export interface Certificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** What goes into a leaf. */
export interface LeafRequest {
  readonly nodeName: string;
  /** DNS names and IP addresses it is valid for. */
  readonly hosts: readonly string[];
  readonly nowMs: number;
  /** 16 bytes. */
  readonly serial: Uint8Array;
}

const DAY_MS = 86_400_000;
/** Proxmox's authority lives ten years, its leaves two (PVE::Cluster::Setup). */
const AUTHORITY_LIFETIME_MS = 3650 * DAY_MS;
const LEAF_LIFETIME_MS = 730 * DAY_MS;
/** Valid from a day back: the client's clock may be behind. */
const BACKDATE_MS = DAY_MS;

const OID_COMMON_NAME = "2.5.4.3";
const OID_ORGANIZATION = "2.5.4.10";
const OID_ORGANIZATIONAL_UNIT = "2.5.4.11";
const OID_ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const OID_SUBJECT_KEY_IDENTIFIER = "2.5.29.14";
const OID_KEY_USAGE = "2.5.29.15";
const OID_SUBJECT_ALT_NAME = "2.5.29.17";
const OID_BASIC_CONSTRAINTS = "2.5.29.19";
const OID_AUTHORITY_KEY_IDENTIFIER = "2.5.29.35";
const OID_EXTENDED_KEY_USAGE = "2.5.29.37";
const OID_SERVER_AUTH = "1.3.6.1.5.5.7.3.1";

/** keyCertSign and cRLSign; digitalSignature. Bit 0 is the highest (RFC 5280 §4.2.1.3). */
const USAGE_AUTHORITY = der.bitString(Uint8Array.of(0b0000_0110), 1);
const USAGE_LEAF = der.bitString(Uint8Array.of(0b1000_0000), 7);

const VERSION_3 = Uint8Array.of(2);
const GENERAL_NAME_DNS = 2;
const GENERAL_NAME_IP = 7;

type Name = readonly (readonly [oid: string, value: string])[];

/** A self-signed cluster authority. `serial`: 16 bytes, also its unit name, as Proxmox's is a UUID. */
export function makeAuthority(nowMs: number, serial: Uint8Array): Certificate {
  const keys = makeKeys();
  const name: Name = [
    [OID_COMMON_NAME, "Proxmox Virtual Environment"],
    [OID_ORGANIZATIONAL_UNIT, Buffer.from(serial).toString("hex")],
    [OID_ORGANIZATION, "PVE Cluster Manager CA"],
  ];
  const extensions = [
    extension(OID_BASIC_CONSTRAINTS, true, der.sequence(der.boolean(true))),
    extension(OID_KEY_USAGE, true, USAGE_AUTHORITY),
    extension(OID_SUBJECT_KEY_IDENTIFIER, false, der.octetString(keyIdentifier(keys.publicKeyDer))),
  ];
  const body = { serial, issuer: encodeName(name), subject: encodeName(name), nowMs, lifetimeMs: AUTHORITY_LIFETIME_MS };
  const certificate = signed({ ...body, publicKeyDer: keys.publicKeyDer, extensions }, keys.privateKeyPem);
  return { certificatePem: certificate, privateKeyPem: keys.privateKeyPem };
}

/** A node's certificate signed by `authority`. */
export function makeLeaf(authority: Certificate, request: LeafRequest): Certificate {
  const keys = makeKeys();
  const authorityKeyDer = createPublicKey(authority.certificatePem).export({ type: "spki", format: "der" });
  const subject: Name = [
    [OID_ORGANIZATIONAL_UNIT, "PVE Cluster Node"],
    [OID_ORGANIZATION, "Proxmox Virtual Environment"],
    [OID_COMMON_NAME, request.nodeName],
  ];
  const extensions = [
    extension(OID_BASIC_CONSTRAINTS, true, der.sequence()),
    extension(OID_KEY_USAGE, true, USAGE_LEAF),
    extension(OID_EXTENDED_KEY_USAGE, false, der.sequence(der.objectIdentifier(OID_SERVER_AUTH))),
    extension(OID_SUBJECT_ALT_NAME, false, der.sequence(...request.hosts.map(generalName))),
    extension(OID_SUBJECT_KEY_IDENTIFIER, false, der.octetString(keyIdentifier(keys.publicKeyDer))),
    extension(OID_AUTHORITY_KEY_IDENTIFIER, false, der.sequence(der.implicit(0, keyIdentifier(authorityKeyDer)))),
  ];
  const certificate = signed(
    {
      serial: request.serial,
      issuer: subjectOf(authority.certificatePem),
      subject: encodeName(subject),
      nowMs: request.nowMs,
      lifetimeMs: LEAF_LIFETIME_MS,
      publicKeyDer: keys.publicKeyDer,
      extensions,
    },
    authority.privateKeyPem,
  );
  return { certificatePem: certificate, privateKeyPem: keys.privateKeyPem };
}

/** SHA-256 of a certificate, "AB:CD:…", as Proxmox prints it. */
export function fingerprintOf(certificatePem: string): string {
  return new X509Certificate(certificatePem).fingerprint256;
}

interface CertificateBody {
  readonly serial: Uint8Array;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly nowMs: number;
  readonly lifetimeMs: number;
  readonly publicKeyDer: Uint8Array;
  readonly extensions: readonly Uint8Array[];
}

/** RFC 5280 §4.1: Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature }. */
function signed(body: CertificateBody, issuerKeyPem: string): string {
  const algorithm = der.sequence(der.objectIdentifier(OID_ECDSA_WITH_SHA256));
  const toBeSigned = der.sequence(
    der.explicit(0, der.unsignedInteger(VERSION_3)),
    der.unsignedInteger(body.serial),
    algorithm,
    body.issuer,
    der.sequence(der.time(body.nowMs - BACKDATE_MS), der.time(body.nowMs + body.lifetimeMs)),
    body.subject,
    body.publicKeyDer,
    der.explicit(3, der.sequence(...body.extensions)),
  );
  const signature = sign("sha256", toBeSigned, createPrivateKey(issuerKeyPem));
  return pem(der.sequence(toBeSigned, algorithm, der.bitString(signature)));
}

function makeKeys(): { readonly privateKeyPem: string; readonly publicKeyDer: Uint8Array } {
  const pair = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  return {
    privateKeyPem: pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicKeyDer: pair.publicKey.export({ type: "spki", format: "der" }),
  };
}

function encodeName(name: Name): Uint8Array {
  return der.sequence(
    ...name.map(([oid, value]) => der.setOfOne(der.sequence(der.objectIdentifier(oid), der.utf8String(value)))),
  );
}

/** The issuer of a leaf must repeat the authority's subject byte for byte; it is rebuilt from what the certificate says. */
function subjectOf(certificatePem: string): Uint8Array {
  const oids: Readonly<Record<string, string>> = { CN: OID_COMMON_NAME, O: OID_ORGANIZATION, OU: OID_ORGANIZATIONAL_UNIT };
  const parts = new X509Certificate(certificatePem).subject.split("\n").map((line): readonly [string, string] => {
    const [key = "", ...value] = line.split("=");
    const oid = oids[key];
    if (oid === undefined) throw new Error(`the authority's name has a part this simulator does not write: ${line}`);
    return [oid, value.join("=")];
  });
  return encodeName(parts);
}

function extension(oid: string, isCritical: boolean, value: Uint8Array): Uint8Array {
  const head = der.objectIdentifier(oid);
  const body = der.octetString(value);
  return isCritical ? der.sequence(head, der.boolean(true), body) : der.sequence(head, body);
}

function generalName(host: string): Uint8Array {
  const address = addressOctets(host);
  if (address !== undefined) return der.implicit(GENERAL_NAME_IP, address);
  return der.implicit(GENERAL_NAME_DNS, new TextEncoder().encode(host));
}

/** SHA-1 of the public key bits (RFC 5280 §4.2.1.2, method 1); only a name, no security rests on it. */
function keyIdentifier(publicKeyDer: Uint8Array): Uint8Array {
  /** An uncompressed P-256 point: the last 65 octets of its SubjectPublicKeyInfo. */
  const pointBytes = 65;
  return createHash("sha1").update(publicKeyDer.subarray(-pointBytes)).digest();
}

function addressOctets(host: string): Uint8Array | undefined {
  if (isIPv4(host)) return Uint8Array.from(host.split(".").map(Number));
  if (isIPv6(host)) return ipv6Octets(host);
  return undefined;
}

function ipv6Octets(host: string): Uint8Array {
  const written = new URL(`http://[${host}]/`).hostname.slice(1, -1);
  const [left = "", right] = written.split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const head = groups(left);
  const tail = right === undefined ? [] : groups(right);
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => "0");
  const all = [...head, ...(right === undefined ? [] : zeros), ...tail];
  return Uint8Array.from(all.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]));
}

function pem(certificateDer: Uint8Array): string {
  const base64 = Buffer.from(certificateDer).toString("base64").replace(/.{64}/g, "$&\n").trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}
