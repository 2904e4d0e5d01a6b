import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, cpSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "../../src/commands/context.ts";
import { PATIENCE_MS, until } from "../support/agent-process.ts";
import { guests, machine, Site, TEST_TIMEOUT_MS } from "../e2e/site.ts";

/**
 * What programs build on: the JSON of `plan` and `status`, and the exit codes. A difference here is a
 * change of interface. The files in golden/ are written anew with STEWARD_WRITE_GOLDEN=1; read the diff.
 */

setDefaultTimeout(TEST_TIMEOUT_MS);

const GOLDEN = join(import.meta.dir, "golden");

function expectGolden(name: string, text: string): void {
  const path = join(GOLDEN, name);
  if (process.env["STEWARD_WRITE_GOLDEN"] === "1") writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, "utf8"));
}

/** One guest of every standing, and every kind of line. */
const FILES = {
  "qemu-server/100": machine({ name: "in-sync", cores: 2 }, "11111111-2222-4333-8444-555555555100"),
  "qemu-server/101": machine({ name: "drifted", cores: 1, tags: "old" }, "11111111-2222-4333-8444-555555555101"),
  "qemu-server/102": machine({ name: "locked", lock: "backup" }, "11111111-2222-4333-8444-555555555102"),
  "qemu-server/103": machine({ name: "observed", cores: 1 }, "11111111-2222-4333-8444-555555555103"),
  "qemu-server/104": machine({ name: "deferred", protection: 1, unused0: "local:104/vm-104-disk-1.qcow2" }, "11111111-2222-4333-8444-555555555104"),
  "lxc/105": "arch: amd64\nhostname: container\nmemory: 512\nostype: debian\nrootfs: local:105/vm-105-disk-0.raw,size=4G\nswap: 0\n",
  "qemu-server/106": machine({ name: "ignored" }, "11111111-2222-4333-8444-555555555106"),
};

const DECLARED = guests(
  { vmid: 100, kind: "qemu", config: { cores: 2 } },
  { vmid: 101, kind: "qemu", state: "running", config: { cores: 4, tags: ["new", "prod"], description: "two\nlines", onboot: null } },
  { vmid: 102, kind: "qemu", config: { onboot: true } },
  { vmid: 103, kind: "qemu", mode: "observe", config: { cores: 8 } },
  { vmid: 104, kind: "qemu", config: { protection: 0, unused0: null } },
  { vmid: 105, kind: "lxc", config: { memory: 1024 } },
  { vmid: 106, kind: "qemu", mode: "ignore" },
  { vmid: 120, kind: "qemu" },
);

const open = (): Promise<Site> => Site.open({ files: FILES, running: [105], desired: { "guests.yaml": DECLARED }, settings: { maxAffectedPercent: "100" } });

/** Every path of a value with its type, arrays as their elements: the shape without the data. */
function shape(value: unknown, path = ""): readonly string[] {
  if (Array.isArray(value)) return [...new Set(value.flatMap((element) => shape(element, `${path}[]`)))];
  if (typeof value === "object" && value !== null) return Object.entries(value).flatMap(([key, child]) => shape(child, path === "" ? key : `${path}.${key}`));
  return [`${path}: ${value === null ? "null" : typeof value}`];
}

describe("JSON", () => {
  test.concurrent("plan", async () => {
    await using site = await open();
    const { code, stdout } = await site.run(["plan", "-o", "json"]);
    expect(code).toBe(2);
    expectGolden("plan.json", stdout);
  });

  test.concurrent("plan, for people", async () => {
    await using site = await open();
    expectGolden("plan.txt", (await site.run(["plan"])).stdout);
  });

  test.concurrent("status", async () => {
    await using site = await open();
    const daemon = await site.daemon();
    await daemon.ready();
    expect((await site.run(["pause", "105", "--reason", "golden", "--for", "1h"])).code).toBe(0);
    const status = await until("both acts to be done and the pause to be seen", async () => {
      const { stdout } = await site.run(["status", "-o", "json"]);
      return /"result": "(?:acted|in_sync)"[^]*"reason": "ByOperator"/.test(stdout) && stdout.includes('"runState": "running"') && stdout.includes('"openOperations": []') ? stdout : undefined;
    }, PATIENCE_MS, 150);
    expectGolden("status-shape.txt", `${[...new Set(shape(JSON.parse(status)))].sort().join("\n")}\n`);
  });

  test.concurrent("run --once", async () => {
    await using site = await open();
    const { code, stdout } = await site.run(["run", "--once", "-o", "json"]);
    expect(code).toBe(2);
    const report: { readonly actions: readonly { readonly vmid: number }[] } = JSON.parse(stdout);
    // Acts stand in the order they ended, which between guests is chance; each guest's own keep theirs.
    const actions = report.actions.toSorted((left, right) => left.vmid - right.vmid);
    expectGolden("run-once.json", `${JSON.stringify({ ...report, actions }, null, 2)}\n`);
  });
});

describe("exit codes", () => {
  test("are those of docs/operating.md", () => {
    const section = readFileSync(join(import.meta.dir, "../../docs/operating.md"), "utf8").split("### Exit codes")[1]?.split("\n#")[0] ?? "";
    const documented = [...section.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
    expect(documented).toEqual([...new Set<number>(Object.values(EXIT))].sort((left, right) => left - right));
  });

  /** A journal with some acts in it, and what `spoil` did to it. */
  async function withJournal(spoil: (segment: string) => void): Promise<Site> {
    const site = await Site.open({ files: { "qemu-server/100": machine({ name: "web" }) }, desired: { "guests.yaml": guests({ vmid: 100, kind: "qemu", state: "running", config: { description: "kept" } }) } });
    expect((await site.run(["run", "--once"])).code).toBe(0);
    cpSync(site.path("state"), site.path("copy"), { recursive: true });
    spoil(site.path("state/journal/0000000000000001.journal"));
    return site;
  }

  const tear = (segment: string): void => truncateSync(segment, readFileSync(segment).length - 7);
  const flip = (segment: string): void => {
    const bytes = readFileSync(segment);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(segment, bytes);
  };

  test.concurrent("3 of a torn tail, which the next start repairs", async () => {
    await using site = await withJournal(tear);
    expect(await site.run(["journal", "verify"])).toMatchObject({ code: EXIT.journalTorn, stdout: expect.stringMatching(/^torn: /), stderr: "" });
    expect((await site.run(["plan"])).code).toBe(EXIT.done);
    expect((await site.run(["run", "--once"])).code).toBe(EXIT.done);
    expect((await site.run(["journal", "verify"])).code).toBe(EXIT.done);
  });

  test.concurrent("4 of a corrupt journal; nothing is changed on any guest, and it says so; the copy mends it", async () => {
    await using site = await withJournal(flip);
    // What the damaged part said is not known, so an act in it may look open: bounded, since nothing can settle it.
    site.configure({ taskTimeout: "1s" });
    await site.edit({ vmid: 100, set: { description: "by hand" } });
    const before = site.mutations().length;
    expect(await site.run(["journal", "verify"])).toMatchObject({ code: EXIT.journalCorrupt, stdout: expect.stringMatching(/^corrupt: /) });
    expect((await site.run(["journal", "verify", "--dir", site.path("copy/journal")])).code).toBe(EXIT.done);
    expect((await site.run(["pause", "100"])).code).toBe(EXIT.journalCorrupt);
    expect(await site.run(["run", "--once"])).toMatchObject({ code: EXIT.journalCorrupt, stderr: expect.stringContaining("JournalReady is False (Corrupt)") });
    const daemon = await site.daemon();
    expect(await daemon.failing("JournalReady", "Corrupt")).toContain("0000000000000001.journal");
    expect((await daemon.get("/livez")).status).toBe(200);
    expect(site.mutations()).toHaveLength(before);
    await site.end();
    site.configure({ taskTimeout: "20s" });
    copyFileSync(site.path("copy/journal/0000000000000001.journal"), site.path("state/journal/0000000000000001.journal"));
    expect((await site.run(["run", "--once"])).code).toBe(EXIT.done);
    expect(site.mutations()).toHaveLength(before + 1);
  });

  test.concurrent("1 of journal verify where there is none, and of a head that is not there 4", async () => {
    await using site = await withJournal(() => {});
    expect((await site.run(["journal", "verify", "--dir", site.path("nothing")])).code).toBe(EXIT.error);
    expect(await site.run(["journal", "ls", "--dir", site.path("nothing")])).toMatchObject({ code: EXIT.error, stdout: "", stderr: expect.stringContaining("name another with --dir") });
    expect((await site.run(["journal", "ls", "--guest", "999"])).stdout).toBe("No records.\n");
    const head = /head ([0-9a-f]{64})/.exec((await site.run(["journal", "verify"])).stdout)?.[1] ?? "";
    expect((await site.run(["journal", "verify", "--from", head])).code).toBe(EXIT.done);
    expect((await site.run(["journal", "verify", "--from", "1".repeat(64)])).code).toBe(EXIT.journalCorrupt);
  });
});
