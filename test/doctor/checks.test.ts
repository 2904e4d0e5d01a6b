import { describe, expect, test } from "bun:test";
import { CHECKS, judgeAll } from "../../src/doctor/doctor.ts";
import type { ConfiguredFacts, Facts } from "../../src/doctor/facts.ts";
import type { Finding, Status } from "../../src/doctor/finding.ts";
import { fault, ok } from "../../src/ports/errors.ts";
import { faults } from "../support/proxmox-faults.ts";
import { answering, CONFIG, DAY_MS, desiredOf, factsWith, fileOf, GOOD_ANSWERS, GOOD_API, NOW_MS, TWO_GUESTS } from "./facts.ts";

function findingOf(name: string, facts: Facts): Finding {
  const finding = judgeAll(facts).checks.find((check) => check.name === name);
  if (finding === undefined) throw new Error(`no check ${name}`);
  return finding;
}

const told = (finding: Finding): string => [finding.found, ...finding.details, finding.mend].join("\n");

describe("with everything as it should be", () => {
  test("every check is ok and has nothing to mend", () => {
    const report = judgeAll(factsWith());
    expect(report.checks.map(({ name, status, mend }) => [name, status, mend])).toEqual(CHECKS.map(({ name }) => [name, "ok", ""]));
    expect(report).toMatchObject({ version: 1, exitCode: 0, summary: { ok: CHECKS.length, skipped: 0, warn: 0, fail: 0 } });
  });

  test("names are each used once", () => {
    expect(new Set(CHECKS.map(({ name }) => name)).size).toBe(CHECKS.length);
  });
});

/** One row: which check, what is otherwise, how it comes out, and words that must stand in it. */
type Row = readonly [name: string, story: string, facts: Facts, status: Status, ...words: string[]];

const token = fileOf("token", "/etc/steward/token", 0o600);
const journal = (changes: object): Facts => factsWith({ journal: ok({ directory: "/s/journal", verified: ok({ outcome: "intact", records: 3, head: { segment: "s", sequence: 3, hash: "aa" } }), newestRecordMs: NOW_MS, ...changes }) as ConfiguredFacts["journal"] });
const verified = (outcome: "torn" | "corrupt"): Facts => journal({ verified: ok({ outcome, records: 3, head: { segment: "s", sequence: 3, hash: "aa" }, problem: { segment: "0001.journal", line: 4, byte: 9, message: "cut off" } }) });
const disk = (changes: object): Facts => factsWith({ disk: ok({ isPresent: true, freeBytes: ok(1e10), sync: ok({ syncs: 500, seconds: 1, slowestMs: 4 }), ...changes }) as ConfiguredFacts["disk"] });
const agent = (changes: object): Facts => factsWith({ agent: ok({ state: "running", pid: 7, version: "1.2.3", node: "pve1", configProblem: "", troubles: [], ...changes }) as ConfiguredFacts["agent"] });
const listen = (changes: object, others: Partial<ConfiguredFacts> = {}): Facts => factsWith({ listen: ok({ port: { state: "free" }, isOwnAddress: true, firstFreePort: 1_024, ...changes }) as ConfiguredFacts["listen"], ...others });
const host = (changes: object): Facts => factsWith({ host: ok({ enabled: "auto", isPresent: true, problems: [], guests: 1, ...changes }) as ConfiguredFacts["host"] });
const connection = (changes: object, answers: ConfiguredFacts["api"] = ok({ ...GOOD_API, answers: undefined })): Facts =>
  factsWith({ api: answers.ok ? ok({ ...answers.value, connection: { ...GOOD_API.connection, ...changes } }) : answers });
const certificate = (endsMs: number): Facts => connection({ certificate: ok({ subject: "CN=pve1", fingerprint: "AB", endsMs }) }, ok(GOOD_API));
const privileges = (changes: Readonly<Record<string, readonly string[] | undefined>>): Facts => {
  const map = new Map(GOOD_ANSWERS.privileges);
  for (const [path, names] of Object.entries(changes)) {
    if (names === undefined) map.delete(path);
    else map.set(path, ok(new Set(names)));
  }
  return answering({ privileges: map });
};
const environments = (...list: { who: string; variables: string[] | undefined }[]): Facts => ({ ...factsWith(), environments: list });
const unconfigured: Facts = { configured: fault("config.schema", "agent.yaml:1:1: a\nagent.yaml:2:1: b"), environments: [] };
const refused = faults.unauthenticated();

const ROWS: readonly Row[] = [
  ["config", "defaults alone", factsWith({ loaded: { config: CONFIG, origins: new Map([["node", { from: "default" }]]), file: undefined, fingerprint: "" } }), "ok", "no file: 1 from defaults"],
  ["config", "dry run", factsWith({ loaded: { config: { ...CONFIG, dryRun: true }, origins: new Map(), file: "f", fingerprint: "" } }), "ok", "dryRun is on"],
  ["config", "where each comes from", factsWith(), "ok", "1 from the command line", "dryRun: flag --dry-run"],
  ["config", "two problems", unconfigured, "fail", "2 problems", "agent.yaml:1:1: a", "agent.yaml:2:1: b", "docs/configuration.md"],
  ["api", "without a config", unconfigured, "skipped", "see config"],

  ["environment", "code that runs first", environments({ who: "this command", variables: ["BUN_OPTIONS"] }), "fail", "BUN_OPTIONS", "--preload", "UnsetEnvironment"],
  ["environment", "a library that is loaded first", environments({ who: "x", variables: ["LD_PRELOAD"] }), "fail", "LD_PRELOAD"],
  ["environment", "a proxy, which is dropped", environments({ who: "this command", variables: ["HTTPS_PROXY"] }), "warn", "another machine", "the agent drops it"],
  ["environment", "an engine option", environments({ who: "x", variables: ["BUN_JSC_useJIT"] }), "warn", "BUN_JSC_useJIT (x): changes"],
  ["environment", "the agent's alone", environments({ who: "this command", variables: [] }, { who: "the running agent (pid 7)", variables: ["BUN_OPTIONS"] }), "fail", "BUN_OPTIONS (the running agent (pid 7))"],
  ["environment", "one that may not be read", environments({ who: "this command", variables: [] }, { who: "the running agent (pid 7)", variables: undefined }), "ok", "may not be read"],

  ["agent", "none", factsWith({ agent: ok({ state: "absent" }) }), "skipped", "/run/steward/agent.sock"],
  ["agent", "somebody else's socket", factsWith({ agent: ok({ state: "unclear", message: "may not be opened" }) }), "warn", "may not be opened", "as root"],
  ["agent", "an older one", agent({ version: "1.0.0" }), "warn", "version 1.0.0", "restart the agent"],
  ["agent", "one of another node", agent({ node: "pve9" }), "warn", "keeps node pve9", "socket: of its own"],
  ["agent", "a config it does not take", agent({ configProblem: "agent.yaml:3:1: no" }), "warn", "not in force", "agent.yaml:3:1: no"],
  ["agent", "one in trouble", agent({ troubles: ["ApiReachable is False"] }), "warn", "ApiReachable is False", "agent status"],
  ["agent", "no answer in time", factsWith({ agent: fault("doctor.not_gathered", "the agent's socket: no answer within 30 s") }), "fail", "no answer within 30 s", "run agent doctor again"],

  ["port", "free", listen({}), "ok", "port 9100 is free"],
  ["port", "any", listen({ port: { state: "any" } }), "ok", "port 0"],
  ["port", "taken by another", listen({ port: { state: "taken", mayBeOurs: false } }), "fail", "taken by another program", "node_exporter", ":9101", "ss -ltnp"],
  ["port", "taken, nobody knows by whom", listen({ port: { state: "taken", mayBeOurs: true } }), "skipped", "may not see which"],
  ["port", "unknown", listen({ port: { state: "unknown", message: "denied" } }), "skipped", "denied"],
  ["port", "an address of another host", listen({ isOwnAddress: false }, { config: { ...CONFIG, server: { hostname: "192.0.2.9", port: 9100 } } }), "fail", "192.0.2.9 is no address of this host"],
  ["port", "a port for root alone", listen({}, { config: { ...CONFIG, server: { hostname: "::", port: 80 } } }), "fail", "only for root", "from 1024 up"],
  ["port", "a port for root, who it is", listen({}, { config: { ...CONFIG, server: { hostname: "::", port: 80 } }, agentUid: 0 }), "ok"],

  ["desired", "nothing declared on purpose", factsWith({ config: { ...CONFIG, desired: { source: "empty" } } }), "warn", "no guest is managed", "docs/desired-state.md"],
  ["desired", "a file that is wrong", factsWith({ desired: ok({ state: TWO_GUESTS.state, problems: [{ code: "desired.syntax", message: "a.yaml:1:2: no" }] }) }), "fail", "1 problem", "a.yaml:1:2: no"],
  ["desired", "a guest declared twice", factsWith({ desired: ok(desiredOf("  - { vmid: 101, kind: lxc }\n  - { vmid: 101, kind: lxc }\n")) }), "warn", "declared more than once: 101", "a.yaml:3:"],
  ["desired", "two guests", factsWith(), "ok", "2 guests", "revision"],

  ["files", "a token everybody reads", factsWith({ files: ok([fileOf("token", "/t", 0o644)]) }), "fail", "/t: mode 0644", "chmod 600 /t", "replace the token"],
  ["files", "a token the group reads", factsWith({ files: ok([fileOf("token", "/t", 0o640)]) }), "fail", "chmod 600 /t"],
  ["files", "a token of root's, and the agent is not root", factsWith({ files: ok([fileOf("token", "/t", 0o600, 0)]) }), "fail", "belongs to root", "chown 998 /t"],
  ["files", "a token of somebody else's", factsWith({ files: ok([fileOf("token", "/t", 0o600, 1_000)]) }), "fail", "belongs to user 1000"],
  ["files", "a config others write", factsWith({ files: ok([token, fileOf("config", "/c", 0o664)]) }), "fail", "1 of them", "/c: mode 0664", "chmod 644 /c"],
  ["files", "a config others read", factsWith({ files: ok([fileOf("config", "/c", 0o644, 0)]) }), "ok", "/c: mode 0644, user 0"],
  ["files", "a state directory others write", factsWith({ files: ok([fileOf("stateDirectory", "/s", 0o777, 998, true)]) }), "fail", "exchange the journal", "chmod 755 /s"],
  ["files", "a journal others write", factsWith({ files: ok([fileOf("journalSegment", "/j", 0o620)]) }), "fail", "chmod 600 /j"],
  ["files", "a socket for everybody", factsWith({ files: ok([fileOf("socket", "/a.sock", 0o666)]) }), "fail", "command the agent"],
  ["files", "a desired directory of a group", factsWith({ files: ok([fileOf("desiredDirectory", "/d", 0o775, 0, true)]) }), "ok"],
  ["files", "a desired directory of everybody", factsWith({ files: ok([fileOf("desiredDirectory", "/d", 0o777, 0, true)]) }), "fail", "everybody could declare guests"],
  ["files", "a token in a sticky directory", factsWith({ files: ok([fileOf("tokenDirectory", "/tmp", 0o1777, 0, true)]) }), "ok"],
  ["files", "a token in everybody's directory", factsWith({ files: ok([fileOf("tokenDirectory", "/x", 0o777, 0, true)]) }), "fail", "exchange the token"],
  ["files", "one that is not there yet", factsWith({ files: ok([token, { purpose: "socket", path: "/a", status: fault("file.not_found", "no") }]) }), "ok", "1 looked at"],
  ["files", "one that may not be looked at", factsWith({ files: ok([{ purpose: "token", path: "/t", status: fault("file.denied", "cannot look at /t") }]) }), "fail", "cannot look at /t"],

  ["state-dir", "not there yet", disk({ isPresent: false }), "skipped", "first start"],
  ["state-dir", "of somebody else", disk({ sync: fault("file.denied", "cannot open /s: EACCES") }), "fail", "EACCES", "as root or as the agent's user"],
  ["state-dir", "read-only", disk({ sync: fault("file.read_only", "EROFS") }), "fail", "EROFS", "mount"],
  ["state-dir", "a sync that hangs", disk({ sync: fault("doctor.not_gathered", "took longer than 10 s") }), "fail", "longer than 10 s"],
  ["state-dir", "nearly full", disk({ freeBytes: ok(3 * 1024 * 1024) }), "warn", "3 MiB", "make room"],
  ["sync-speed", "fast", disk({ sync: ok({ syncs: 500, seconds: 0.1, slowestMs: 1 }) }), "ok", "5000 syncs a second", "fast"],
  ["sync-speed", "fast enough", disk({ sync: ok({ syncs: 300, seconds: 1, slowestMs: 9 }) }), "ok", "fast enough"],
  ["sync-speed", "slow, as pveperf calls it", disk({ sync: ok({ syncs: 199, seconds: 1, slowestMs: 30 }) }), "warn", "slow", "write cache"],
  ["sync-speed", "with a hitch", disk({ sync: ok({ syncs: 400, seconds: 1.9, slowestMs: 1_400 }) }), "warn", "hitch"],
  ["sync-speed", "not measured", disk({ isPresent: false }), "skipped", "see state-dir"],

  ["journal", "none yet", journal({ verified: fault("journal.missing", "no") }), "skipped", "first start"],
  ["journal", "no directory yet", journal({ verified: fault("file.not_found", "no") }), "skipped", "/s/journal"],
  ["journal", "not for this user", journal({ verified: fault("file.denied", "EACCES") }), "fail", "EACCES", "as root"],
  ["journal", "torn", verified("torn"), "warn", "a crash leaves it", "0001.journal:4: cut off"],
  ["journal", "corrupt", verified("corrupt"), "fail", "corrupt", "docs/journal.md"],
  ["journal-time", "a record of tomorrow", journal({ newestRecordMs: NOW_MS + DAY_MS }), "fail", "86400 s from now", "timedatectl"],
  ["journal-time", "a record of this moment, nearly", journal({ newestRecordMs: NOW_MS + 1_500 }), "ok"],
  ["journal-time", "no records", journal({ newestRecordMs: undefined }), "skipped"],

  ["host-files", "switched off", host({ enabled: false }), "skipped", "asking the API"],
  ["host-files", "not a Proxmox host", host({ isPresent: false }), "skipped", "not on a Proxmox host"],
  ["host-files", "wanted, and not there", host({ enabled: true, isPresent: false }), "fail", "no .vmlist", "pve-cluster"],
  ["host-files", "not for this user", host({ problems: [{ path: "/etc/pve/.vmlist", message: "EACCES" }] }), "fail", "/etc/pve/.vmlist: EACCES", "www-data"],

  ["api", "down", connection({ certificate: { ok: false, error: faults.unreachable() } }), "fail", "pveproxy"],
  ["tls", "down", connection({ certificate: { ok: false, error: faults.unreachable() } }), "skipped", "signed by the CA in /etc/pve/pve-root-ca.pem", "see api"],
  ["token", "down", connection({ certificate: { ok: false, error: faults.unreachable() } }), "skipped", "steward@pve!agent: not tried"],
  ["version", "down", connection({ certificate: { ok: false, error: faults.unreachable() } }), "skipped", "see api"],
  ["privileges", "down", connection({ certificate: { ok: false, error: faults.unreachable() } }), "skipped", "see api"],
  ["api", "nothing to trust", connection({ trust: { ok: false, error: untrusted("no CA file") }, certificate: undefined }), "skipped", "see tls"],
  ["tls", "nothing to trust", connection({ trust: { ok: false, error: untrusted("no CA file") }, certificate: undefined }), "fail", "no CA file", "docs/configuration.md"],
  ["tls", "another certificate", connection({ certificate: { ok: false, error: untrusted("expected AB, found CD", "CD") } }), "fail", "expected AB, found CD", "only if it says CD"],
  ["tls", "one that was not shown", connection({ certificate: { ok: false, error: untrusted("expected AB") } }), "fail", "correct proxmox.tls"],
  ["api", "another certificate", connection({ certificate: { ok: false, error: untrusted("no", "CD") } }), "ok", "answers"],
  ["tls", "two weeks left and not renewed", certificate(NOW_MS + 13 * DAY_MS), "warn", "2026-06-14", "soon", "updatecerts"],
  ["tls", "more than two weeks left", certificate(NOW_MS + 15 * DAY_MS), "ok", "2026-06-16"],
  ["tls", "pinned and ended", certificate(NOW_MS - DAY_MS), "warn", "has ended"],
  ["tls", "a CA near its end", connection({ trust: ok({ type: "ca", source: "/ca", authorityEndsMs: NOW_MS + DAY_MS }) }, ok(GOOD_API)), "warn", "CA itself ends 2026-06-02"],
  ["tls", "pinned", connection({ trust: ok({ type: "pin", source: "proxmox.tls.fingerprint", authorityEndsMs: undefined }) }, ok(GOOD_API)), "ok", "exactly the certificate of proxmox.tls.fingerprint"],

  ["token", "a file others read", factsWith({ api: ok({ ...GOOD_API, token: fault("config.insecure", "mode 0644"), answers: undefined }) }), "fail", "mode 0644", "chmod 600 /etc/steward/token"],
  ["token", "no file", factsWith({ api: ok({ ...GOOD_API, token: fault("config.unreadable", "no such file"), answers: undefined }) }), "fail", "no such file", "pveum user token add"],
  ["token", "refused", factsWith({ api: ok({ ...GOOD_API, answers: { ok: false, error: refused } }) }), "fail", "steward@pve!agent is refused", "pveum user token list steward@pve"],
  ["api", "a refused token", factsWith({ api: ok({ ...GOOD_API, answers: { ok: false, error: refused } }) }), "ok"],
  ["api", "pvedaemon is down", factsWith({ api: ok({ ...GOOD_API, answers: { ok: false, error: faults.noAnswer() } }) }), "fail", "pvedaemon"],
  ["token", "pvedaemon is down", factsWith({ api: ok({ ...GOOD_API, answers: { ok: false, error: faults.noAnswer() } }) }), "skipped", "see api"],

  ["version", "8.4", answering({ version: { major: 8, minor: 4, patch: 1 } }), "ok", "8.4.1"],
  ["version", "8.3", answering({ version: { major: 8, minor: 3, patch: 0 } }), "warn", "older"],
  ["version", "10", answering({ version: { major: 10, minor: 0, patch: 0 } }), "warn", "newer"],
  ["node", "mistyped", answering({ nodes: ok([{ name: "pve01", isOnline: true }]) }), "fail", "pve1 is not among pve01", "letter by letter"],
  ["node", "offline", answering({ nodes: ok([{ name: "pve1", isOnline: false }]) }), "fail", "not online"],
  ["node", "not told", answering({ nodes: { ok: false, error: faults.unreachable() } }), "fail"],
  ["clock", "no date", answering({ clock: ok(null) }), "skipped"],
  ["clock", "within what can be told", answering({ clock: ok({ skewMs: -2_400, uncertaintyMs: 600 }) }), "ok", "2.4 s behind"],
  ["clock", "seconds apart", answering({ clock: ok({ skewMs: 5_000, uncertaintyMs: 600 }) }), "warn", "5.0 s ahead", "timedatectl"],
  ["clock", "minutes apart", answering({ clock: ok({ skewMs: -120_000, uncertaintyMs: 600 }) }), "fail", "behind"],
  ["quorum", "lost", answering({ quorum: ok(false) }), "fail", "read-only", "pvecm status"],
  ["quorum", "not for this token", answering({ quorum: ok(null) }), "skipped", "see visibility"],

  ["privileges", "one missing", privileges({ "/vms/101": ["VM.Audit", "VM.PowerMgmt", "VM.Config.Network"] }), "fail", "lacks some on qemu/101", "qemu/101: VM.Config.CPU on /vms/101 for cores", 'pveum role add StewardMore1 --privs "VM.Config.CPU"', "pveum acl modify /vms/101 --users steward@pve", "--tokens 'steward@pve!agent'"],
  ["privileges", "none at all", privileges({ "/vms/101": [], "/vms/200": [] }), "fail", "2 guests", "unseen, it counts as missing", "VM.PowerMgmt on /vms/101 for state", "lxc/200: VM.Config.Memory on /vms/200 for memory", "acl modify /vms --users"],
  ["privileges", "not asked in time", privileges({ "/vms/200": undefined }), "warn", "1 path", "/vms/200"],
  ["privileges", "nothing declared", factsWith({ desired: ok(desiredOf("  []")) }), "ok", "nothing is needed"],
  ["privileges", "no desired state", factsWith({ desired: ok({ state: undefined, problems: [] }) }), "skipped", "see desired"],
  ["bridges", "not usable", privileges({ "/sdn/zones/localnetwork/vmbr0": [] }), "fail", "SDN.Use on /sdn/zones/localnetwork/vmbr0", "net0", "pveum acl modify /sdn/zones/localnetwork/vmbr0"],
  ["bridges", "a network of another zone, perhaps", factsWith({ desired: ok(desiredOf("  - { vmid: 101, kind: qemu, config: { net0: { bridge: office } } }\n")), api: privilegesApi({ "/sdn/zones/localnetwork/office": [] }) }), "warn", "another zone"],
  ["root-only-keys", "one", factsWith({ desired: ok(desiredOf("  - { vmid: 101, kind: qemu, config: { args: -foo, cores: 2 } }\n")) }), "warn", "1 declared key", "qemu/101: args", "root@pam"],
  ["visibility", "on the host, files tell", privileges({ "/nodes/pve1": [] }), "ok", "host's own files"],
  ["visibility", "on the host, quorum is left", privileges({ "/": [], "/nodes/pve1": [] }), "warn", "not seen: quorum", "pveum role add StewardHost"],
  ["visibility", "off the host", offHost({ "/": [], "/nodes/pve1": [] }), "warn", "tasks of others", "HA resources", "quorum"],
  ["visibility", "not asked", privileges({ "/": undefined }), "skipped"],
];

function untrusted(message: string, presentedFingerprint?: string) {
  return { code: "proxmox.untrusted" as const, message, delivery: "none" as const, ...(presentedFingerprint === undefined ? {} : { presentedFingerprint }) };
}

function privilegesApi(changes: Readonly<Record<string, readonly string[]>>): ConfiguredFacts["api"] {
  const facts = privileges(changes);
  if (!facts.configured.ok) throw new Error("configured facts expected");
  return facts.configured.value.api;
}

function offHost(changes: Readonly<Record<string, readonly string[]>>): Facts {
  return factsWith({ api: privilegesApi(changes), host: ok({ enabled: false, isPresent: false, problems: [], guests: 0 }) });
}

describe("what is otherwise is told by its check", () => {
  test.each(ROWS)("%s: %s", (name, _story, facts, status, ...words) => {
    const finding = findingOf(name, facts);
    expect([finding.status, told(finding)]).toEqual([status, told(finding)]);
    for (const word of words) expect(told(finding)).toContain(word);
    const isTold = finding.status === "warn" || finding.status === "fail";
    expect(finding.mend !== "").toBe(isTold);
  });

  test.each(CHECKS.map(({ name }) => name))("%s has a row for something that is not ok", (name) => {
    expect(ROWS.some(([row, , , status]) => row === name && status !== "ok")).toBe(true);
  });
});

describe("one check and the others", () => {
  test("each failing row fails the whole, and no other check is lost", () => {
    for (const [name, story, facts, status] of ROWS) {
      const report = judgeAll(facts);
      expect(report.checks.map((check) => check.name)).toEqual(CHECKS.map((check) => check.name));
      if (status === "fail") expect(`${name} ${story}: ${report.exitCode}`).toBe(`${name} ${story}: 1`);
    }
  });

  test("warnings and skipped checks let the exit code be 0", () => {
    expect(judgeAll(answering({ version: { major: 8, minor: 3, patch: 0 }, quorum: ok(null) }))).toMatchObject({ exitCode: 0, summary: { warn: 1, skipped: 1, fail: 0 } });
  });

  test("a judgement that breaks is that check's failure, and the next is still made", () => {
    const report = judgeAll(factsWith(), [
      { name: "defect", expected: "x", judge: () => { throw new Error("a defect"); } },
      ...CHECKS,
    ]);
    expect(report.checks[0]).toMatchObject({ name: "defect", status: "fail", found: "the check itself broke: a defect" });
    expect(report.summary).toEqual({ ok: CHECKS.length, skipped: 0, warn: 0, fail: 1 });
  });

  test("a fact that could not be gathered fails the checks it is for, and no others", () => {
    const report = judgeAll(factsWith({ journal: fault("doctor.not_gathered", "the journal: no answer within 30 s") }));
    expect(report.checks.filter(({ status }) => status === "fail").map(({ name }) => name)).toEqual(["journal", "journal-time"]);
  });
});
