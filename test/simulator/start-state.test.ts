import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createAccessControl } from "../../src/simulator/access/access.ts";
import { completeStartState, generateHost } from "../../src/simulator/start-state.ts";
import { systemRandom } from "../support/served-node.ts";

const configs = (files: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries(files).filter(([path]) => path.endsWith(".conf"));

describe("a generated host", () => {
  test("is the same for the same seed and another one for another", () => {
    expect(generateHost("pve1", 50, 7)).toEqual(generateHost("pve1", 50, 7));
    expect(generateHost("pve1", 50, 7)).not.toEqual(generateHost("pve1", 50, 8));
  });

  test("covers both kinds, running and stopped, with disks and without", () => {
    const { startState, running } = generateHost("pve1", 20, 1);
    const all = configs(startState.files);
    expect(all.filter(([path]) => path.includes("/qemu-server/"))).toHaveLength(15);
    expect(all.filter(([path]) => path.includes("/lxc/"))).toHaveLength(5);
    expect(running.length).toBeGreaterThan(0);
    expect(running.length).toBeLessThan(20);
    const machines = all.filter(([path]) => path.includes("/qemu-server/"));
    expect(machines.some(([, text]) => text.includes("scsi0: "))).toBe(true);
    expect(machines.some(([, text]) => !text.includes("scsi0: "))).toBe(true);
  });

  test("gives every guest its own number, address and identity, for any seed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), fc.integer(), (count, seed) => {
        const texts = configs(generateHost("pve1", count, seed).startState.files).map(([, text]) => text);
        expect(texts).toHaveLength(count);
        const addresses = texts.map((text) => /(?:[0-9A-F]{2}:){5}[0-9A-F]{2}/.exec(text)?.[0]);
        expect(new Set(addresses).size).toBe(count);
        for (const text of texts) {
          const keys = text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.split(": ")[0] ?? "");
          expect(keys).toEqual([...keys].sort());
        }
      }),
    );
  });
});

describe("what a start state leaves out", () => {
  test("is the agent's token, not privilege-separated", () => {
    const { files } = completeStartState({ files: {} }, systemRandom);
    const secrets = files["/etc/pve/priv/token.cfg"] ?? "";
    expect(secrets).toMatch(/^root@pam!agent [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/);
    const access = createAccessControl(files["/etc/pve/user.cfg"] ?? "", secrets);
    const result = access.authenticate(`PVEAPIToken=${secrets.trim().replace(" ", "=")}`, 0);
    expect(result.ok && result.caller.can("/vms/100", "VM.Config.Options")).toBe(true);
  });

  test("is a secret only for tokens that have none", () => {
    const given = { files: { "/etc/pve/user.cfg": "user:a@pve:1:0::::::\ntoken:a@pve!x:0:0::\ntoken:a@pve!y:0:0::\n", "/etc/pve/priv/token.cfg": "a@pve!x known\n" } };
    const text = completeStartState(given, systemRandom).files["/etc/pve/priv/token.cfg"] ?? "";
    expect(text).toMatch(/^a@pve!x known\na@pve!y \S{36}\n$/);
  });
});
