import { expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/agent-process.ts";
import { guests, machine, Site, TEST_TIMEOUT_MS } from "./site.ts";

/** What is declared and cannot be undone, or is not known to be harmless: shown with a reason, and never sent by any command. */

setDefaultTimeout(TEST_TIMEOUT_MS);

const MAC = "BC:24:11:00:00:01";
const DISK = "local:100/vm-100-disk-0.qcow2,iothread=1,size=8G";

const FILES = {
  "qemu-server/100": machine({ name: "db", cores: 1, protection: 1, net0: `virtio=${MAC},bridge=vmbr0`, scsi0: DISK, scsihw: "virtio-scsi-single", unused0: "local:100/vm-100-disk-1.qcow2" }),
  "qemu-server/101": machine({ name: "off" }, "11111111-2222-4333-8444-555555555101"),
};

/** Config key → how it is declared, and why it waits. */
const CASES: Readonly<Record<string, { readonly declared: unknown; readonly reason: string }>> = {
  unused0: { declared: null, reason: "holds_data" },
  scsi0: { declared: { size: "32G" }, reason: "would_grow" },
  scsi1: { declared: "local:4", reason: "holds_data" },
  protection: { declared: 0, reason: "removes_protection" },
  args: { declared: "-cpu host", reason: "root_only" },
  hookscript: { declared: "local:snippets/hook.pl", reason: "root_only" },
  template: { declared: 1, reason: "template" },
  net0: { declared: { macaddr: "BC:24:11:AA:AA:AA" }, reason: "hardware_address" },
  lock: { declared: "backup", reason: "server_owned" },
  vmstatestorage: { declared: "local", reason: "not_on_allow_list" },
  description: { declared: "0", reason: "invalid_value" },
};

const KEYS = Object.keys(CASES);
const config = Object.fromEntries(KEYS.map((key) => [key, CASES[key]?.declared]));
const DECLARED = guests(
  { vmid: 100, kind: "qemu", state: "running", config: { ...config, cores: 2 } },
  { vmid: 101, kind: "qemu", state: "absent" },
  { vmid: 555, kind: "qemu", state: "running", config: { cores: 2 } },
);

interface PlanJson {
  readonly guests: readonly { readonly vmid: number; readonly deferred: readonly { readonly key: string; readonly reason: string; readonly message: string }[] }[];
}

const reasonsOf = (plan: PlanJson, vmid: number): Readonly<Record<string, string>> =>
  Object.fromEntries(plan.guests.find((guest) => guest.vmid === vmid)?.deferred.map(({ key, reason }) => [key, reason]) ?? []);

test.concurrent("plan lists each with its reason; run --once and the daemon send the harmless rest and nothing of them", async () => {
  await using site = await Site.open({ files: FILES, desired: { "guests.yaml": DECLARED } });
  const planned = await site.run(["plan", "-o", "json"]);
  expect(planned).toMatchObject({ code: 2, stderr: "" });
  const plan: PlanJson = JSON.parse(planned.stdout);
  expect(reasonsOf(plan, 100)).toEqual(Object.fromEntries(KEYS.map((key) => [key, CASES[key]?.reason ?? ""])));
  expect(reasonsOf(plan, 101)).toEqual({ state: "needs_signature" });
  expect(reasonsOf(plan, 555)).toEqual({ state: "would_create" });
  for (const { message } of plan.guests.flatMap(({ deferred }) => deferred)) expect(message.length).toBeGreaterThan(20);

  const once = await site.run(["run", "--once"]);
  expect(once).toMatchObject({ code: 2, stderr: "" });
  for (const key of KEYS) expect(once.stdout).toContain(key);
  const daemon = await site.daemon();
  await daemon.ready();
  await until("several resyncs", async () => Number(/^steward_reconcile_total\{result="deferred"\} (\d+)/m.exec((await daemon.get("/metrics")).body)?.[1]) >= 4);
  expect(await daemon.process.stop()).toBe(0);

  expect(site.mutations()).toEqual(["PUT /qemu/100/config", "POST /qemu/100/status/start"]);
  expect(site.sentParameters()[0]).toEqual({ cores: "2", digest: expect.any(String) });
  // And again: what is deferred does not make the rest be sent every time.
  expect(await site.run(["run", "--once"])).toMatchObject({ code: 2, stdout: expect.stringMatching(/^Nothing was sent\./) });
  expect(site.mutations()).toHaveLength(2);
});

test.concurrent("a NIC keeps its hardware address and a drive its options when something else of them is declared", async () => {
  await using site = await Site.open({ files: FILES, desired: { "guests.yaml": guests({ vmid: 100, kind: "qemu", config: { net0: { bridge: "vmbr1", tag: 20 }, scsi0: { size: "8G" } } }) } });
  expect(await site.run(["run", "--once"])).toMatchObject({ code: 0, stderr: "" });
  expect(site.sentParameters()).toEqual([{ net0: expect.stringContaining(MAC), digest: expect.any(String) }]);
  expect(String(site.sentParameters()[0]?.["net0"])).toContain("bridge=vmbr1");
  expect((await site.run(["plan"])).code).toBe(0);
});
