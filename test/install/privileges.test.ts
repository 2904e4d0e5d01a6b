import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { needsOfKey } from "../../src/doctor/privileges.ts";
import { allowedKeys } from "../../src/gate/allow-list.ts";
import { GUEST_KINDS } from "../../src/guest/key.ts";
import { pveumLines, pveumRemovalLines, roleGrants, WITHHELD_PRIVILEGES } from "../../src/install/privileges.ts";

const page = (name: string): string => readFileSync(join(import.meta.dir, "../../docs", name), "utf8");

/** What the roles give on a path: grants hold for everything below. */
function givenOn(path: string): ReadonlySet<string> {
  return new Set(roleGrants().filter((grant) => grant.path === "/" || path === grant.path || path.startsWith(`${grant.path}/`)).flatMap(({ privileges }) => privileges));
}

describe("the roles", () => {
  test("are enough for every key the gate lets through, but the two that are withheld", () => {
    const lacking = GUEST_KINDS.flatMap((kind) => allowedKeys(kind).flatMap(([key]) => {
      const needed = needsOfKey(kind, 100, key.replace("[n]", "0"), key === "net[n]" ? "virtio,bridge=vmbr0,tag=5" : "1");
      if (needed.type === "root_only") return [`${kind} ${key}: root only`];
      return needed.needs.filter(({ path, anyOf }) => !anyOf.some((name) => givenOn(path).has(name))).map(({ anyOf }) => `${kind} ${key}: ${anyOf.join("|")}`);
    }));
    expect(lacking).toEqual(["qemu startup: Sys.Modify", "qemu boot: VM.Config.Disk"]);
    expect([...WITHHELD_PRIVILEGES].sort()).toEqual(["Sys.Modify", "VM.Config.Disk"]);
  });

  test("hold nothing that could change a disk, the host, rights or users", () => {
    const given = roleGrants().flatMap(({ privileges }) => privileges);
    expect([...given].sort()).toEqual(["SDN.Use", "Sys.Audit", "VM.Audit", "VM.Config.CPU", "VM.Config.HWType", "VM.Config.Memory", "VM.Config.Network", "VM.Config.Options", "VM.PowerMgmt"]);
  });
});

describe("the commands", () => {
  test("are the ones on the page about installing", () => {
    for (const line of [...pveumLines(), ...pveumRemovalLines()]) expect(page("installing.md")).toContain(`    ${line}\n`);
  });

  test("make the roles that the page about operating makes", () => {
    const roles = [...page("operating.md").matchAll(/pveum role add (\w+) --privs "([^"]+)"/g)].map(([, role, privileges = ""]) => `${role} ${privileges.split(" ").sort().join(" ")}`);
    expect(roles.sort()).toEqual(roleGrants().map(({ role, privileges }) => `${role} ${privileges.join(" ")}`).sort());
  });
});
