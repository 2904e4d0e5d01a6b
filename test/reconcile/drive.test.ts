import { describe, expect, test } from "bun:test";
import { faults } from "../support/proxmox-faults.ts";
import type { FakeProxmox } from "../support/fake-proxmox.ts";
import type { RawConfig, RunState } from "../../src/guest/observed.ts";
import { agentOver, type Declared } from "./agent-fixture.ts";

const DRIVE: RawConfig = { ide2: "local:101/vm-101-cloudinit.qcow2,media=cdrom", ciuser: "admin" };

function guest(config: RawConfig, runState: RunState = "running") {
  return (proxmox: FakeProxmox): void => {
    proxmox.add(101, { runState, config: { ...config } });
    proxmox.driveChanges.set(101, [{ key: "ciuser", onDrive: "ubuntu", isTold: true }]);
  };
}

describe("what the cloud-init drive lacks (rows 75 and R8)", () => {
  test("is a condition until the drive was written anew, and nothing is sent", async () => {
    const agent = await agentOver([{ vmid: 101, config: { ciuser: "admin" } }], guest(DRIVE));
    await agent.run(2_000);
    expect(agent.condition(101, "RestartPending")).toBe("True CloudInitDrive");
    expect(agent.condition(101, "Synced")).toBe("True InSync");
    agent.proxmox.driveChanges.clear();
    agent.proxmox.edit(101, { description: "moved" });
    await agent.run(70_000);
    expect(agent.condition(101, "RestartPending")).toBe("False NothingPending");
    expect(agent.acts()).toEqual([]);
  });

  const rows: readonly (readonly [string, Declared["config"], RawConfig, RunState])[] = [
    ["a guest without such a drive", { ciuser: "admin" }, { ciuser: "admin" }, "running"],
    ["a stopped guest, whose drive its start writes", { ciuser: "admin" }, DRIVE, "stopped"],
    ["a guest of which nothing is declared that is on it", { name: "x" }, DRIVE, "running"],
  ];
  test.each(rows)("is not asked for: %s", async (_, config, running, runState) => {
    const agent = await agentOver([{ vmid: 101, config: config ?? {} }], guest(running, runState));
    await agent.run(70_000);
    expect(agent.proxmox.callCount("readCloudInitDrive")).toBe(0);
  });

  test("that cannot be read costs nothing but this knowledge", async () => {
    const agent = await agentOver([{ vmid: 101, config: { ciuser: "admin", cores: 2 } }], (proxmox) => {
      guest({ ...DRIVE, cores: 1 })(proxmox);
      proxmox.failEvery("readCloudInitDrive", faults.forbidden());
    });
    await agent.run(5_000);
    expect(agent.acts()).toEqual(["set_config 101 cores=2"]);
    expect(agent.condition(101, "Synced")).toBe("True InSync");
    expect(agent.condition(101, "RestartPending")).toBe("True PendingValues");
  });
});
