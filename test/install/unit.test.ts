import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "../../src/commands/context.ts";
import { STOP_TIMEOUT_SECONDS, unitText, UNSET_VARIABLES } from "../../src/install/unit.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const ROOT = join(import.meta.dir, "../..");
const UNIT = unitText("/usr/bin/agent");

/** "Type=" → what it is set to; the last one counts. */
function setting(name: string): string | undefined {
  return [...UNIT.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].at(-1)?.[1];
}

describe("the unit", () => {
  const settings: Readonly<Record<string, string>> = {
    User: "steward", Group: "steward", Type: "notify", ExecStart: "/usr/bin/agent run", Restart: "on-failure", UMask: "0077",
    StateDirectory: "steward", StateDirectoryMode: "0700", RuntimeDirectory: "steward",
    ProtectSystem: "strict", NoNewPrivileges: "yes", PrivateTmp: "yes", CapabilityBoundingSet: "", RestrictAddressFamilies: "AF_UNIX AF_INET AF_INET6",
  };
  for (const [name, value] of Object.entries(settings)) {
    test(`sets ${name}=${value}`, () => {
      expect(setting(name)).toBe(value);
    });
  }

  test("starts after Proxmox and the network, and goes on without them", () => {
    for (const unit of ["pve-cluster.service", "pve-guests.service", "network-online.target"]) {
      expect(setting("After")?.split(" ")).toContain(unit);
    }
    for (const unit of ["pve-cluster.service", "network-online.target"]) expect(setting("Wants")?.split(" ")).toContain(unit);
    for (const binding of ["Requires", "Requisite", "BindsTo", "PartOf"]) expect(setting(binding)).toBeUndefined();
  });

  test("does not pull in pve-guests.service, whose start starts every guest with onboot", () => {
    expect(unitText("/usr/bin/agent")).not.toMatch(/^(?:Wants|Requires|Requisite|BindsTo|Upholds)=.*pve-guests/m);
  });

  // The runtime compiles as it goes; run states are read from /proc, /run and the cgroup tree.
  for (const name of ["MemoryDenyWriteExecute", "ProtectProc", "ProcSubset", "PrivateUsers", "PrivateNetwork", "InaccessiblePaths", "TemporaryFileSystem", "RootDirectory"]) {
    test(`leaves ${name}= alone`, () => {
      expect(setting(name)).toBeUndefined();
    });
  }

  test("unsets every variable that the program itself drops at its start, and those that act before it can", () => {
    const source = readFileSync(join(ROOT, "src/main.ts"), "utf8");
    const dropped = [...(/SUBVERTING_VARIABLES = \[([^\]]*)\]/.exec(source)?.[1] ?? "").matchAll(/"(\w+)"/g)].map(([, name = ""]) => name);
    expect(dropped.length).toBeGreaterThan(10);
    for (const name of [...dropped, "BUN_BE_BUN", "BUN_OPTIONS", "LD_PRELOAD"]) expect(setting("UnsetEnvironment")?.split(" ")).toContain(name);
    expect(new Set(UNSET_VARIABLES).size).toBe(UNSET_VARIABLES.length);
  });

  test("gives a stop longer than the default of shutdownTimeout, and the watchdog more than what counts as stuck", () => {
    const defaults = readFileSync(join(ROOT, "docs/configuration.md"), "utf8");
    const seconds = (name: string): number => Number(new RegExp(`^\\| \`${name}\` \\| duration \\| \`(\\d+)s\``, "m").exec(defaults)?.[1]);
    expect(STOP_TIMEOUT_SECONDS).toBeGreaterThan(seconds("shutdownTimeout"));
    expect(Number(setting("WatchdogSec"))).toBeGreaterThan(2 * seconds("proxmox.requestTimeout") + 60);
  });

  test("a start that found the journal held by a command of that moment is tried again; a wrong command line is not", () => {
    expect(setting("Restart")).toBe("on-failure");
    expect(setting("RestartPreventExitStatus")?.split(" ")).toEqual([String(EXIT.usage)]);
    // Slower than systemd's own limit of five starts in ten seconds: it never gives up.
    expect(Number(setting("RestartSec"))).toBeGreaterThan(2);
  });

  test.skipIf(Bun.which("systemd-analyze") === null)("is understood by systemd without a word (needs systemd-analyze)", () => {
    const path = join(temporaryDirectory(), "steward.service");
    // The program must exist for the check.
    writeFileSync(path, unitText("/bin/true"));
    const run = Bun.spawnSync(["systemd-analyze", "verify", "--man=no", path], { stdout: "pipe", stderr: "pipe" });
    expect([run.exitCode, run.stderr.toString().split("\n").filter((line) => line.includes("steward"))]).toEqual([0, []]);
  });
});
