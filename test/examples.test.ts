import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../src/config/load.ts";
import { createFileSystem } from "../src/runtime/file-system.ts";
import { machine, Site, TEST_TIMEOUT_MS } from "./e2e/site.ts";

/** The examples, as a reader would use them: against a host whose guests are not like that yet. */

setDefaultTimeout(TEST_TIMEOUT_MS);

const EXAMPLES = join(import.meta.dir, "../examples");
const readExample = (name: string): Readonly<Record<string, string>> =>
  Object.fromEntries(readdirSync(join(EXAMPLES, name)).map((file) => [file, readFileSync(join(EXAMPLES, name, file), "utf8")]));

const vm = (vmid: number, keys: Readonly<Record<string, string | number>> = {}): string =>
  machine({ name: `was-${vmid}`, net0: `virtio=BC:24:11:00:01:0${vmid % 10},bridge=vmbr0,rate=5`, ...keys }, `11111111-2222-4333-8444-000000000${vmid}`);
const container = (vmid: number): string =>
  `arch: amd64\nhostname: was-${vmid}\nmemory: 128\nnet0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:0${vmid % 10},ip=dhcp,type=veth\nostype: debian\nrootfs: local:${vmid}/vm-${vmid}-disk-0.raw,size=4G\nswap: 0\n`;

const HOSTS = {
  homelab: {
    files: { "qemu-server/100": vm(100), "qemu-server/101": vm(101), "qemu-server/102": vm(102), "lxc/103": container(103), "qemu-server/104": vm(104), "qemu-server/105": vm(105, { memory: 256 }) },
    // Those before it in the start order run already, or the delays would have to be waited for.
    running: [100, 101, 103, 104],
    left: { code: 0, changed: [100, 101, 102, 103, 104, 105], remaining: [] as readonly number[] },
  },
  "edge-site": {
    files: { "qemu-server/200": vm(200, { nameserver: "192.0.2.1" }), "qemu-server/201": vm(201), "lxc/202": container(202), "lxc/203": container(203) },
    running: [200],
    // 201 is only observed, 202 is ignored.
    left: { code: 2, changed: [200, 203], remaining: [201] as readonly number[] },
  },
} as const;

interface OnceJson {
  readonly actions: readonly { readonly vmid: number; readonly outcome: string }[];
  readonly remaining: readonly { readonly vmid: number; readonly result: string }[];
}

describe("examples", () => {
  test("each directory is tried here", () => {
    const directories = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
    expect(directories.sort()).toEqual(Object.keys(HOSTS).sort());
  });

  test.concurrent.each(Object.entries(HOSTS))("%s converges, and the next plan and run find nothing more to send", async (name, { files, running, left }) => {
    await using site = await Site.open({ files, running, desired: readExample(name), settings: { maxAffectedPercent: "100" } });
    expect(await site.run(["plan"])).toMatchObject({ code: 2, stderr: "" });
    const once = await site.run(["run", "--once", "-o", "json"]);
    const report: OnceJson = JSON.parse(once.stdout);
    expect(report.actions.filter(({ outcome }) => outcome !== "succeeded")).toEqual([]);
    expect([...new Set(report.actions.map(({ vmid }) => vmid))].sort((left, right) => left - right)).toEqual([...left.changed]);
    expect(report.remaining.map(({ vmid }) => vmid)).toEqual([...left.remaining]);
    expect({ code: once.code, stderr: once.stderr }).toEqual({ code: left.code, stderr: "" });
    const sent = site.mutations().length;
    expect((await site.run(["plan"])).code).toBe(left.code);
    expect((await site.run(["run", "--once"])).code).toBe(left.code);
    expect(site.mutations()).toHaveLength(sent);
  });

  test("agent.yaml is read without a problem", () => {
    const fileSystem = createFileSystem();
    const loaded = loadConfig({
      file: join(EXAMPLES, "agent.yaml"), isFileRequired: true, environment: {}, flags: {}, hostname: "pve1", workingDirectory: "/",
      readFile: (path) => fileSystem.readFile(path),
    });
    expect(loaded).toMatchObject({ ok: true });
  });
});
