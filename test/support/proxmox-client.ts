import { createProxmoxClient, type ProxmoxClientOptions } from "../../src/proxmox/client.ts";
import type { ProxmoxApi } from "../../src/ports/proxmox-api.ts";
import { ok } from "../../src/ports/errors.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { FakeClock } from "./fake-clock.ts";
import { FIXTURES } from "./fake-pve-server.ts";

export const TOKEN = "root@pam!agent=11111111-1111-4111-8111-111111111111";

interface LogLine {
  readonly level: string;
  readonly message: string;
}

export interface TestClient {
  readonly api: ProxmoxApi;
  readonly clock: FakeClock;
  readonly log: LogLine[];
  readonly measures: { method: string; code: string; seconds: number }[];
}

/** A real client against `url`, with a clock that stands still, trusting the fixtures' CA; parts can be replaced. */
export function testClient(url: string, parts: Partial<ProxmoxClientOptions> = {}): TestClient {
  const clock = new FakeClock();
  const log: LogLine[] = [];
  const measures: TestClient["measures"] = [];
  const note = (level: string) => (message: string) => void log.push({ level, message });
  const api = createProxmoxClient({
    url,
    node: "pve1",
    tls: { caFile: `${FIXTURES}/ca.pem` },
    pveDir: "/nonexistent",
    files: createFileSystem(),
    readToken: () => ok(TOKEN),
    requestTimeoutMs: 30_000,
    maxConcurrentRequests: 3,
    clock,
    random: { fraction: () => 0.5, bytes: (size) => new Uint8Array(size) },
    log: { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") },
    onRequest: (measure) => void measures.push(measure),
    version: "0.0.0-test",
    ...parts,
  });
  return { api, clock, log, measures };
}

/** Resolves when `condition` holds; the bound is the test's own timeout. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
}
