import { randomBytes } from "node:crypto";
import type { Random } from "../../src/ports/random.ts";
import type { StartState } from "../../src/simulator/api.ts";
import { serveNode, type ServedNode } from "../../src/simulator/serve.ts";
import { prepareIdentity, type NodeIdentity } from "../../src/simulator/tls/identity.ts";
import { FakeNode } from "./fake-node.ts";
import { FakeClock } from "./fake-clock.ts";

/** Secrets of the recorded host's tokens, as the recordings give them. */
export const RECORDED_TOKENS = {
  root: "root@pam!agent=11111111-1111-4111-8111-111111111111",
  separated: "root@pam!sep=22222222-2222-4222-8222-222222222222",
  agent: "agent@pve!tok=33333333-3333-4333-8333-333333333333",
  readOnly: "ro@pve!tok=44444444-4444-4444-8444-444444444444",
  operator: "op@pve!tok=55555555-5555-4555-8555-555555555555",
  nobody: "nobody@pve!tok=66666666-6666-4666-8666-666666666666",
  expired: "agent@pve!old=77777777-7777-4777-8777-777777777777",
} as const;

export const TOKEN_CONFIG = Object.values(RECORDED_TOKENS)
  .map((token) => `${token.replace("=", " ")}\n`)
  .join("");

/** user.cfg of the recorded host. */
export const USER_CONFIG = [
  "user:root@pam:1:0:::root@oracle.test::::",
  ...["agent", "ro", "op", "nobody"].map((name) => `user:${name}@pve:1:0::::::`),
  "token:root@pam!agent:0:0::",
  "token:root@pam!sep:0:1::",
  "token:agent@pve!tok:0:0::",
  "token:agent@pve!old:1000000000:0::",
  "token:ro@pve!tok:0:0::",
  "token:op@pve!tok:0:0::",
  "token:nobody@pve!tok:0:0::",
  "",
  "role:Op:VM.Audit,VM.PowerMgmt,VM.Config.Options:",
  "",
  "acl:1:/vms:agent@pve:PVEVMAdmin:",
  "acl:1:/nodes:agent@pve:PVEAuditor:",
  "acl:1:/storage/local:agent@pve:PVEDatastoreUser:",
  "acl:1:/sdn:agent@pve:PVESDNUser:",
  "acl:1:/:ro@pve:PVEAuditor:",
  "acl:1:/vms/100:op@pve:Op:",
  "",
].join("\n");

const RECORDED_USERS: StartState = {
  files: { "/etc/pve/user.cfg": USER_CONFIG, "/etc/pve/priv/token.cfg": TOKEN_CONFIG },
};

/** Unpredictable, as the real one; tests that need a seed make their own. */
export const systemRandom: Random = {
  fraction: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
  bytes: (sizeBytes) => new Uint8Array(randomBytes(sizeBytes)),
};

export interface Served extends ServedNode {
  readonly node: FakeNode;
  readonly caPem: string;
  readonly clock: FakeClock;
  readonly identity: NodeIdentity;
}

/** A fake node behind the real ports, with the recorded host's users. The clock only moves when told. */
export async function serveFakeNode(options: { hostDir?: string; authDelayMs?: number; random?: Random } = {}): Promise<Served> {
  const clock = new FakeClock(Date.now());
  const node = new FakeNode();
  const identity = prepareIdentity({ nodeName: "pve1", hostname: "127.0.0.1", random: systemRandom, nowMs: Date.now() });
  const served = await serveNode({
    node,
    identity,
    startState: RECORDED_USERS,
    hostname: "127.0.0.1",
    port: 0,
    hostDir: options.hostDir,
    authDelayMs: options.authDelayMs ?? 0,
    clock,
    random: options.random ?? systemRandom,
  });
  return { ...served, node, clock, caPem: identity.authorityPem, identity };
}

