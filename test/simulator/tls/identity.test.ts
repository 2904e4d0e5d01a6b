import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import type { AddressInfo } from "node:net";
import { fingerprintOf } from "../../../src/simulator/tls/certificates.ts";
import { prepareIdentity, type IdentityOptions, type NodeIdentity } from "../../../src/simulator/tls/identity.ts";
import { systemRandom } from "../../support/served-node.ts";

const NOW_MS = Date.now();
const DAY_MS = 86_400_000;
let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "identity-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const prepare = (options: Partial<IdentityOptions> = {}): NodeIdentity =>
  prepareIdentity({ nodeName: "pve1", hostname: "127.0.0.1", random: systemRandom, nowMs: NOW_MS, ...options });

describe("the node's certificate", () => {
  test("is signed by the cluster's authority and names the node like Proxmox does", () => {
    const identity = prepare();
    const leaf = new X509Certificate(identity.leaf.certificatePem);
    const authority = new X509Certificate(identity.authorityPem);
    expect(leaf.verify(authority.publicKey)).toBe(true);
    expect(leaf.checkIssued(authority)).toBe(true);
    expect(authority.ca).toBe(true);
    expect(leaf.ca).toBe(false);
    expect(leaf.subject).toBe("OU=PVE Cluster Node\nO=Proxmox Virtual Environment\nCN=pve1");
    expect(leaf.issuer).toBe(authority.subject);
    expect(identity.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    expect(identity.fingerprint).toBe(fingerprintOf(identity.leaf.certificatePem));
  });

  test.each(["127.0.0.1", "::1", "2001:db8::5", "192.0.2.10"])("is valid for the address %s", (address) => {
    const leaf = new X509Certificate(prepare({ hostname: address }).leaf.certificatePem);
    expect(leaf.checkIP(address)).toBeDefined();
    expect(leaf.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(leaf.checkIP("::1")).toBe("::1");
    expect(leaf.checkIP("198.51.100.1")).toBeUndefined();
  });

  test("is valid for localhost and the node's name, and for no other name", () => {
    const leaf = new X509Certificate(prepare().leaf.certificatePem);
    expect([leaf.checkHost("localhost"), leaf.checkHost("pve1"), leaf.checkHost("pve2")]).toEqual(["localhost", "pve1", undefined]);
  });

  test("stands a handshake with a client that trusts only the authority", async () => {
    const identity = prepare();
    const server = createServer({ cert: identity.leaf.certificatePem, key: identity.leaf.privateKeyPem }, (socket) => socket.end("hello"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", ca: identity.authorityPem });
      socket.on("data", (bytes) => resolve(bytes.toString()));
      socket.on("error", reject);
    });
    server.close();
    expect(text).toBe("hello");
  });
});

describe("a kept identity", () => {
  test("is the same after a restart, its keys readable by the owner alone", () => {
    const first = prepare({ directory });
    const second = prepare({ directory });
    expect(second).toEqual(first);
    expect(readFileSync(join(directory, "pve-root-ca.pem"), "utf8")).toBe(first.authorityPem);
    const modes = readdirSync(directory).map((name) => [name, statSync(join(directory, name)).mode & 0o777]);
    expect(Object.fromEntries(modes)).toEqual({
      "pve-root-ca.pem": 0o644,
      "pve-root-ca.key": 0o600,
      "pve-ssl.pem": 0o644,
      "pve-ssl.key": 0o600,
    });
  });

  test("gets a new leaf from the same authority for another address", () => {
    const first = prepare({ directory });
    const moved = prepare({ directory, hostname: "192.0.2.10" });
    expect(moved.authorityPem).toBe(first.authorityPem);
    expect(moved.fingerprint).not.toBe(first.fingerprint);
    expect(new X509Certificate(moved.leaf.certificatePem).checkIP("192.0.2.10")).toBe("192.0.2.10");
  });

  test("gets a new leaf when the old one is out of date", () => {
    const first = prepare({ directory });
    const later = prepare({ directory, nowMs: NOW_MS + 800 * DAY_MS });
    expect(later.authorityPem).toBe(first.authorityPem);
    expect(later.fingerprint).not.toBe(first.fingerprint);
  });

  test("never overwrites an authority it did not make: a real host's /etc/pve has no key beside it", () => {
    const foreign = prepare().authorityPem;
    writeFileSync(join(directory, "pve-root-ca.pem"), foreign);
    expect(() => prepare({ directory })).toThrow("was not made by the simulator");
    expect(readFileSync(join(directory, "pve-root-ca.pem"), "utf8")).toBe(foreign);
    expect(readdirSync(directory)).toEqual(["pve-root-ca.pem"]);
  });
});
