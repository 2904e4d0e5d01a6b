import { afterEach, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import type { TlsTrust } from "../../src/proxmox/trust.ts";
import { FakePveServer, FIXTURES, fixture, json } from "../support/fake-pve-server.ts";
import { testClient, TOKEN } from "../support/proxmox-client.ts";

const VERSION = () => json(200, { data: { version: "9.2.11" } });
const fingerprintOf = (name: string) => new X509Certificate(fixture(`${name}.pem`)).fingerprint256;
const caFile: TlsTrust = { caFile: `${FIXTURES}/ca.pem` };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function serve(certificate: string): Promise<FakePveServer> {
  const server = await FakePveServer.start(VERSION, certificate);
  cleanups.push(() => server.stop());
  return server;
}

function clientOf(url: string, parts: Parameters<typeof testClient>[1]) {
  const client = testClient(url, parts);
  cleanups.push(() => client.api.close());
  return client;
}

function pveDir(): string {
  const directory = mkdtempSync(join(tmpdir(), "steward-pve-"));
  cleanups.push(() => rmSync(directory, { recursive: true }));
  return directory;
}

describe("a trusted certificate (row T1)", () => {
  const rows: readonly { title: string; certificate: string; host?: string; tls: TlsTrust }[] = [
    { title: "signed by the CA file, for the address in the URL", certificate: "node", tls: caFile },
    { title: "signed by the CA file, for the name in the URL", certificate: "node", host: "localhost", tls: caFile },
    { title: "pinned by its fingerprint", certificate: "node", tls: { fingerprint: fingerprintOf("node") } },
    { title: "pinned in lower case without colons", certificate: "node", tls: { fingerprint: fingerprintOf("node").replaceAll(":", "").toLowerCase() } },
    { title: "pinned although no known CA signed it", certificate: "impostor", tls: { fingerprint: fingerprintOf("impostor") } },
    { title: "pinned although it has expired", certificate: "expired", tls: { fingerprint: fingerprintOf("expired") } },
  ];
  test.each(rows)("$title: the request goes out", async ({ certificate, host, tls }) => {
    const server = await serve(certificate);
    const client = clientOf(`https://${host ?? "127.0.0.1"}:${server.port}`, { tls });
    expect(await client.api.version()).toEqual({ ok: true, value: { major: 9, minor: 2, patch: 11 } });
    expect(server.received[0]).toContain(TOKEN);
  });
});

describe("a certificate that is not trusted (rows T1 and A2)", () => {
  const rows: readonly { title: string; certificate: string; tls: TlsTrust; says: string }[] = [
    { title: "signed by another CA", certificate: "impostor", tls: caFile, says: fingerprintOf("impostor") },
    { title: "expired", certificate: "expired", tls: caFile, says: "expired" },
    { title: "for another host", certificate: "elsewhere", tls: caFile, says: "pve9.example.test" },
    { title: "for the node's name only, with a CA file", certificate: "node-name-only", tls: caFile, says: "pve1" },
    { title: "not the pinned one", certificate: "node", tls: { fingerprint: fingerprintOf("impostor") }, says: fingerprintOf("node") },
    { title: "not the pinned one, though its name and dates are good", certificate: "impostor", tls: { fingerprint: fingerprintOf("node") }, says: fingerprintOf("node") },
    { title: "held against a fingerprint that is none", certificate: "node", tls: { fingerprint: "" }, says: "proxmox.tls.fingerprint" },
  ];
  for (const method of ["read", "mutation"]) {
    test.each(rows)(`$title: not one byte of a ${method} is sent`, async ({ certificate, tls, says }) => {
      const server = await serve(certificate);
      const client = clientOf(server.url, { tls });
      const guest = { kind: "qemu", vmid: 100 } as const;
      const result = method === "read" ? await client.api.version() : await client.api.mutate({ type: "start", guest });
      if (result.ok) throw new Error("expected a refusal");
      expect(result.error).toMatchObject({ code: "proxmox.untrusted", delivery: "none" });
      expect(result.error.message).toContain(says);
      expect(result.error.message).not.toContain(TOKEN);
      expect(server.received.join("")).toBe("");
      expect(client.measures).toEqual([{ method: method === "read" ? "GET" : "POST", code: "untrusted", seconds: 0 }]);
    });
  }

  test("the fault carries what was presented and what was expected", async () => {
    const server = await serve("impostor");
    const result = await clientOf(server.url, { tls: caFile }).api.version();
    if (result.ok || result.error.code !== "proxmox.untrusted") throw new Error("expected a refusal");
    expect(result.error.presentedFingerprint).toBe(fingerprintOf("impostor"));
    expect(result.error.message).toContain(`expected a certificate signed by the CA ${fingerprintOf("ca")} (from `);
  });
});

describe("tls: auto", () => {
  const auto = (directory: string) => ({ tls: "auto", pveDir: directory }) as const;

  test("trusts the cluster's CA, and its certificate for the node's name under any address", async () => {
    const directory = pveDir();
    cpSync(join(FIXTURES, "ca.pem"), join(directory, "pve-root-ca.pem"));
    for (const certificate of ["node", "node-name-only"]) {
      const server = await serve(certificate);
      expect((await clientOf(server.url, auto(directory)).api.version()).ok).toBeTrue();
    }
  });

  test("refuses another node's certificate of the same CA", async () => {
    const directory = pveDir();
    cpSync(join(FIXTURES, "ca.pem"), join(directory, "pve-root-ca.pem"));
    const server = await serve("elsewhere");
    expect(await clientOf(server.url, auto(directory)).api.version()).toMatchObject({ error: { code: "proxmox.untrusted" } });
    expect(server.received.join("")).toBe("");
  });

  test.each(["local", "nodes/pve1"])("pins the certificate in %s/pveproxy-ssl.pem when there is one", async (where) => {
    const directory = pveDir();
    mkdirSync(join(directory, where), { recursive: true });
    cpSync(join(FIXTURES, "ca.pem"), join(directory, "pve-root-ca.pem"));
    // A chain, as ACME writes it: the first certificate is the server's.
    writeFileSync(join(directory, where, "pveproxy-ssl.pem"), fixture("impostor.pem") + fixture("other-ca.pem"));
    const own = await serve("impostor");
    expect((await clientOf(own.url, auto(directory)).api.version()).ok).toBeTrue();
    const signed = await serve("node");
    expect(await clientOf(signed.url, auto(directory)).api.version()).toMatchObject({ error: { code: "proxmox.untrusted" } });
    expect(signed.received.join("")).toBe("");
  });

  test("reads the files again when the certificate was replaced, and goes on (row T2)", async () => {
    const directory = pveDir();
    mkdirSync(join(directory, "local"));
    const path = join(directory, "local", "pveproxy-ssl.pem");
    writeFileSync(path, fixture("impostor.pem"));
    const server = await serve("node");
    const client = clientOf(server.url, auto(directory));
    expect((await client.api.version()).ok).toBeFalse();
    expect(server.received.join("")).toBe("");
    writeFileSync(path, fixture("node.pem"));
    expect((await client.api.version()).ok).toBeTrue();
    // One for the refusal; then one that does not fit what was read before, and one that fits what is read now.
    expect(server.tcpConnections).toBe(3);
  });

  const unusable: readonly { title: string; fill: (directory: string) => void; says: string }[] = [
    { title: "there is no CA", fill: () => {}, says: "pve-root-ca.pem" },
    { title: "the CA file is empty", fill: (directory) => writeFileSync(join(directory, "pve-root-ca.pem"), ""), says: "no readable PEM certificate" },
    {
      title: "the CA file is damaged",
      fill: (directory) => writeFileSync(join(directory, "pve-root-ca.pem"), fixture("ca.pem").replace(/^[^-]{8}/m, "********")),
      says: "no readable PEM certificate",
    },
  ];
  test.each(unusable)("when $title, nothing is trusted and nothing is sent", async ({ fill, says }) => {
    const directory = pveDir();
    fill(directory);
    const server = await serve("node");
    const result = await clientOf(server.url, auto(directory)).api.version();
    if (result.ok) throw new Error("expected a refusal");
    expect(result.error.code).toBe("proxmox.untrusted");
    expect(result.error.message).toContain(says);
    expect(server.tcpConnections).toBe(0);
  });
});

test("the environment changes nothing: no variable makes a stranger trusted or the token visible", async () => {
  const server = await serve("impostor");
  const trusted = await serve("node");
  const script = `
    import { testClient } from ${JSON.stringify(join(import.meta.dir, "../support/proxmox-client.ts"))};
    for (const url of ${JSON.stringify([server.url, trusted.url])}) {
      const result = await testClient(url).api.version();
      console.log("answer:", result.ok ? "ok" : result.error.code);
    }
    process.exit(0);`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    env: {
      PATH: process.env["PATH"] ?? "",
      NODE_TLS_REJECT_UNAUTHORIZED: "0",
      NODE_EXTRA_CA_CERTS: join(FIXTURES, "other-ca.pem"),
      HTTPS_PROXY: "http://127.0.0.1:9",
      BUN_CONFIG_VERBOSE_FETCH: "curl",
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect(out).toBe("answer: proxmox.untrusted\nanswer: ok\n");
  expect(trusted.received.join("")).toContain(TOKEN);
  expect(out + err).not.toContain(TOKEN);
  expect(server.received.join("")).toBe("");
});

describe("something that does not speak TLS", () => {
  test("a server that accepts and says nothing is given up after the handshake's time, with nothing sent", async () => {
    let got = 0;
    const silent = createServer((socket) => {
      socket.on("error", () => {});
      // The client's hello of the handshake is all that ever arrives.
      socket.on("data", (chunk) => (got += chunk.includes(TOKEN) ? 1 : 0));
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => silent.close());
    const connected = new Promise<void>((resolve) => silent.once("connection", () => resolve()));
    const client = clientOf(`https://127.0.0.1:${(silent.address() as AddressInfo).port}`, { requestTimeoutMs: 60_000 });
    const answer = client.api.mutate({ type: "start", guest: { kind: "qemu", vmid: 100 } });
    await connected;
    await client.clock.advance(10_000);
    expect(await answer).toMatchObject({ error: { code: "proxmox.unreachable", delivery: "none" } });
    expect(got).toBe(0);
  });

  test("a server that answers with something else is unreachable, not untrusted", async () => {
    const plain = createServer((socket) => {
      socket.on("error", () => {});
      socket.end("HTTP/1.1 301 Moved Permanently\r\n\r\n");
    });
    await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => plain.close());
    const client = clientOf(`https://127.0.0.1:${(plain.address() as AddressInfo).port}`, {});
    const answer = await client.api.mutate({ type: "start", guest: { kind: "lxc", vmid: 200 } });
    expect(answer).toMatchObject({ error: { code: "proxmox.unreachable", delivery: "none" } });
  });
});
