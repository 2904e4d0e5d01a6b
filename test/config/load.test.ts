import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type LoadConfigOptions, fingerprintOf, loadConfig } from "../../src/config/load.ts";
import { fault, ok } from "../../src/ports/errors.ts";

const FILE = "/etc/steward/agent.yaml";
const FINGERPRINT = Array.from({ length: 32 }, () => "AB").join(":");

function load(text: string | undefined, more: Partial<LoadConfigOptions> = {}) {
  return loadConfig({
    file: FILE,
    isFileRequired: false,
    environment: {},
    flags: {},
    readFile: () => (text === undefined ? fault("file.not_found", "no such file") : ok(new TextEncoder().encode(text))),
    hostname: "pve1.example.org",
    workingDirectory: "/srv/here",
    ...more,
  });
}

function config(text: string | undefined, more: Partial<LoadConfigOptions> = {}) {
  const result = load(text, more);
  if (!result.ok) throw new Error(result.error.message);
  return result.value.config;
}

function problems(text: string | undefined, more: Partial<LoadConfigOptions> = {}): readonly string[] {
  const result = load(text, more);
  return result.ok ? [] : result.error.problems;
}

describe("defaults", () => {
  test("hold where there is no file, with the host's short name as node", () => {
    expect(config(undefined)).toEqual({
      node: "pve1",
      stateDir: "/var/lib/steward",
      proxmox: { url: "https://127.0.0.1:8006", tokenFile: "/etc/steward/token", tls: "auto", requestTimeoutMs: 30_000, maxConcurrentRequests: 3 },
      host: { enabled: "auto", pveDir: "/etc/pve", runDir: "/run", taskDir: "/var/log/pve/tasks", cgroupDir: "/sys/fs/cgroup" },
      desired: { source: "empty" },
      pollIntervalMs: 1_000,
      resyncIntervalMs: 60_000,
      maxConcurrentActs: 4,
      maxConcurrentStarts: 2,
      maxAffectedPercent: 20,
      taskTimeoutMs: 600_000,
      shutdownTimeoutMs: 60_000,
      dryRun: false,
      server: { hostname: "::", port: 9100 },
      socket: "/run/steward/agent.sock",
      log: { level: "info", format: "auto" },
    });
  });

  test("a host whose name cannot be a node's has to be told", () => {
    expect(problems(undefined, { hostname: "build_01" })).toEqual(['default: node: expected a node\'s name as Proxmox shows it: letters, digits and dashes, without a domain, found "build_01"']);
    expect(config(undefined, { hostname: "build_01", flags: { node: "pve2" } }).node).toBe("pve2");
  });
});

describe("the file", () => {
  test("the example is a whole one, and differs from the defaults only where it says so", () => {
    const text = readFileSync(join(import.meta.dir, "../../examples/agent.yaml"), "utf8");
    expect(config(text)).toEqual({ ...config(undefined), desired: { source: "directory", path: "/etc/steward/desired" }, dryRun: true });
  });

  test("that was named must be there", () => {
    const result = load(undefined, { isFileRequired: true });
    expect(result).toMatchObject({ ok: false, error: { code: "config.unreadable" } });
    expect(problems(undefined, { isFileRequired: true })[0]).toContain(`${FILE}: expected the agent's settings, found that they cannot be read: no such file`);
  });

  test("that cannot be read is an error even when it need not be there", () => {
    expect(load(undefined, { readFile: () => fault("file.denied", "permission denied") })).toMatchObject({ ok: false, error: { code: "config.unreadable" } });
  });

  test.each([
    ["", "config.syntax", `${FILE}:1:1: expected a document, found nothing`],
    ["# dryRun: true\n", "config.syntax", `${FILE}:1:1: expected a document, found nothing`],
    ["node: [\n", "config.syntax", `${FILE}:2:1: expected valid YAML`],
    ["node: a\nnode: b\n", "config.syntax", `${FILE}:2:1: expected each key once, found \`node\` again`],
    ["node: a\0b\n", "config.syntax", `${FILE}:1:8: expected text, found a NUL byte`],
    ["a".repeat(300_000), "config.syntax", `${FILE}:1:1: expected at most 262144 bytes`],
    ["- node\n", "config.schema", `${FILE}:1:1: expected a map of settings, found a list`],
    ["hello\n", "config.schema", `${FILE}:1:1: expected a map of settings, found a single value`],
    ["nodes: pve1\n", "config.schema", `${FILE}:1:1: nodes: expected a setting, found an unknown one; did you mean \`node\`?`],
    ["proxmox:\n  request_timeout: 1s\n", "config.schema", `${FILE}:2:3: proxmox.request_timeout: expected a setting, found an unknown one; did you mean \`requestTimeout\`?`],
    ["proxmox:\n  colour: red\n", "config.schema", `${FILE}:2:3: proxmox.colour: expected a setting, found an unknown one; known: url, tokenFile, tls, requestTimeout, maxConcurrentRequests`],
    ["proxmox.url: https://pve1:8006\n", "config.schema", `${FILE}:1:1: proxmox.url: expected a setting, found an unknown one`],
    ["proxmox:\n", "config.schema", `${FILE}:1:9: proxmox: expected a map with url, tokenFile, tls, requestTimeout, maxConcurrentRequests, found nothing`],
    ["server: 9100\n", "config.schema", `${FILE}:1:9: server: expected a map with listen, found a single value`],
    ["pollInterval: [1s]\n", "config.schema", `${FILE}:1:15: pollInterval: expected one value, found a list`],
    ["pollInterval:\n", "config.schema", `${FILE}:1:14: pollInterval: expected a value, found nothing; remove the key for the default`],
    ["pollInterval: 10\n", "config.schema", `${FILE}:1:15: pollInterval: expected a time from 100ms to 1h, such as 250ms, 1s, 10m or 2h, found "10"`],
    ["dryRun: maybe\n", "config.schema", `${FILE}:1:9: dryRun: expected true or false, found "maybe"`],
    ["maxAffectedPercent: 101\n", "config.schema", `${FILE}:1:21: maxAffectedPercent: expected a percentage from 0 to 100, such as 20, found "101"`],
    ["stateDir: ~/steward\n", "config.schema", `${FILE}:1:11: stateDir: expected a path of at most 4096 bytes, without ~`],
    [`socket: /${"s".repeat(107)}\n`, "config.schema", `${FILE}:1:9: socket: expected a path of at most 107 bytes`],
    ["proxmox: { url: http://127.0.0.1:8006 }\n", "config.insecure", `${FILE}:1:17: proxmox.url: expected https://HOST:8006, without user, path or query, found "http://127.0.0.1:8006"; the API token is sent to it`],
    ["proxmox: { url: 'https://pve1:8006/api2' }\n", "config.schema", `${FILE}:1:17: proxmox.url: expected https://HOST:8006`],
    ["desired: { source: directory }\n", "config.schema", `${FILE}:1:20: desired.source: expected desired.path beside \`directory\`, found none`],
    ["desired: { path: /d }\n", "config.schema", `${FILE}:1:18: desired.path: expected desired.source \`directory\` beside it, found \`empty\``],
    ["desired: { source: empty, path: /d }\n", "config.schema", `${FILE}:1:33: desired.path: expected desired.source \`directory\` beside it, found \`empty\``],
    ["desired: { source: git }\n", "config.schema", `${FILE}:1:20: desired.source: expected empty or directory, found "git"`],
  ])("%p is refused", (text, code, message) => {
    const result = load(text);
    expect(result).toMatchObject({ ok: false, error: { code } });
    expect(problems(text)).toEqual([expect.stringContaining(message)]);
  });

  test("an empty group means its defaults", () => {
    expect(config("host: {}\n")).toEqual(config(undefined));
  });

  test("relative paths start at the file's directory", () => {
    expect(config("proxmox: { tokenFile: token, tls: { caFile: ../ca.pem } }\n").proxmox).toMatchObject({ tokenFile: "/etc/steward/token", tls: { caFile: "/etc/ca.pem" } });
  });

  test("all problems are told at once, file first", () => {
    const told = problems("nod: a\npollInterval: 1\nproxmox: { tls: none }\n", { environment: { STEWARD_NODES: "x" }, flags: { taskTimeout: "never" } });
    expect(told.map((line) => line.split(": ")[0])).toEqual([`${FILE}:1:1`, "variable STEWARD_NODES", `${FILE}:3:17`, `${FILE}:2:15`, "flag --task-timeout"]);
  });
});

describe("trust", () => {
  test.each([
    ["auto", "auto"],
    ["{ caFile: /ca.pem }", { caFile: "/ca.pem" }],
    [`{ fingerprint: "${FINGERPRINT}" }`, { fingerprint: FINGERPRINT }],
    [`{ fingerprint: "${FINGERPRINT.toLowerCase().replaceAll(":", "")}" }`, { fingerprint: FINGERPRINT }],
    [`{ fingerprint: "sha256 Fingerprint=${FINGERPRINT}" }`, { fingerprint: FINGERPRINT }],
  ] as const)("tls: %s", (written, trust) => {
    expect(config(`proxmox: { tls: ${written} }\n`).proxmox.tls).toEqual(trust);
  });

  test.each(["insecure", "none", "false", "skip-verify", "AUTO", "''"])("tls: %s is refused, with the reason", (word) => {
    const text = `proxmox: { tls: ${word} }\n`;
    expect(load(text)).toMatchObject({ ok: false, error: { code: "config.insecure" } });
    expect(problems(text)[0]).toContain("there is no way to trust any certificate, because the API token would go to whoever answers");
  });

  test.each(["AB:CD", FINGERPRINT.slice(3), `${FINGERPRINT}:AB`, FINGERPRINT.replace("AB", "XY"), FINGERPRINT.replaceAll(":", "-")])("fingerprint %s is refused", (fingerprint) => {
    expect(problems(`proxmox: { tls: { fingerprint: "${fingerprint}" } }\n`)[0]).toContain("proxmox.tls.fingerprint: expected the SHA-256 fingerprint of the certificate: 32 pairs of hex digits");
  });

  test.each(["{}", "{ insecure: true }", `{ caFile: /ca.pem, fingerprint: "${FINGERPRINT}" }`])("tls: %s is refused", (written) => {
    expect(problems(`proxmox: { tls: ${written} }\n`)).not.toEqual([]);
  });

  test("is one choice: the strongest place makes it whole", () => {
    const pinned = `proxmox: { tls: { fingerprint: "${FINGERPRINT}" } }\n`;
    expect(config(pinned, { flags: { "proxmox.tls": "auto" } }).proxmox.tls).toBe("auto");
    expect(config(pinned, { environment: { STEWARD_PROXMOX_TLS_CA_FILE: "/ca.pem" } }).proxmox.tls).toEqual({ caFile: "/ca.pem" });
    expect(config("proxmox: { tls: auto }\n", { environment: { STEWARD_PROXMOX_TLS_FINGERPRINT: FINGERPRINT } }).proxmox.tls).toEqual({ fingerprint: FINGERPRINT });
    expect(problems(undefined, { flags: { "proxmox.tls": "auto", "proxmox.tls.caFile": "/ca.pem" } })[0]).toStartWith("flag --proxmox-tls and flag --proxmox-tls-ca-file: proxmox.tls: expected one of");
  });
});

describe("values", () => {
  test.each([
    ["250ms", 250], ["1s", 1_000], ["1.5s", 1_500], ["2m", 120_000], ["1h", 3_600_000], ["3600s", 3_600_000],
    ["99ms", undefined], ["2h", undefined], ["1d", undefined], ["-1s", undefined], ["1 s", undefined], ["1S", undefined], ["", undefined], ["s", undefined], ["1e3s", undefined], ["9".repeat(400) + "s", undefined],
  ])("pollInterval %p", (text, durationMs) => {
    const result = load(undefined, { flags: { pollInterval: text } });
    expect(result.ok ? result.value.config.pollIntervalMs : undefined).toBe(durationMs);
  });

  test.each([
    [":9100", { hostname: "::", port: 9100 }], ["127.0.0.1:9100", { hostname: "127.0.0.1", port: 9100 }], ["[::1]:9100", { hostname: "::1", port: 9100 }],
    ["0.0.0.0:0", { hostname: "0.0.0.0", port: 0 }], ["localhost:65535", { hostname: "localhost", port: 65_535 }],
    ["9100", undefined], ["*:9100", undefined], ["::1:9100", undefined], [":65536", undefined], ["256.0.0.1:1", undefined], ["[::g]:1", undefined], ["[]:1", undefined], ["host.example:1", undefined], [":", undefined], ["", undefined],
  ])("server.listen %p", (text, server) => {
    const result = load(undefined, { flags: { "server.listen": text } });
    expect(result.ok ? result.value.config.server : undefined).toEqual(server);
  });

  test.each([["20", 20], ["20%", 20], ["0", 0], ["100", 100], ["101", undefined], ["-1", undefined], ["2.5", undefined], ["%", undefined], ["0x10", undefined]])("maxAffectedPercent %p", (text, percent) => {
    const result = load(undefined, { flags: { maxAffectedPercent: text } });
    expect(result.ok ? result.value.config.maxAffectedPercent : undefined).toBe(percent);
  });

  test.each<[string, boolean | "auto" | undefined]>([["true", true], ["yes", true], ["1", true], ["on", true], ["false", false], ["no", false], ["0", false], ["off", false], ["auto", "auto"], ["2", undefined], ["", undefined]])("host.enabled %p", (text, enabled) => {
    const result = load(undefined, { flags: { "host.enabled": text } });
    expect(result.ok ? result.value.config.host.enabled : undefined).toBe(enabled);
  });

  test.each([["https://pve1:8006", "https://pve1:8006"], ["https://[::1]:8006/", "https://[::1]:8006"], ["https://pve1:8006?x=1", undefined], ["ftp://pve1", undefined], ["pve1:8006", undefined], ["https://", undefined]])("proxmox.url %p", (text, url) => {
    const result = load(undefined, { flags: { "proxmox.url": text } });
    expect(result.ok ? result.value.config.proxmox.url : undefined).toBe(url);
  });
});

describe("precedence", () => {
  test("flag over variable over file over default, and each value says where it came from", () => {
    const result = load("node: file\nstateDir: /file\npollInterval: 2s\n", {
      environment: { STEWARD_NODE: "variable", STEWARD_STATE_DIR: "/variable", PATH: "/bin", STEWARD_CONFIG: "/elsewhere" },
      flags: { node: "flag" },
    });
    if (!result.ok) throw new Error(result.error.message);
    expect(result.value.config).toMatchObject({ node: "flag", stateDir: "/variable", pollIntervalMs: 2_000, taskTimeoutMs: 600_000 });
    expect(result.value.origins.get("node")).toEqual({ from: "flag", flag: "--node" });
    expect(result.value.origins.get("stateDir")).toEqual({ from: "environment", variable: "STEWARD_STATE_DIR" });
    expect(result.value.origins.get("pollInterval")).toEqual({ from: "file", position: { file: FILE, line: 3, column: 15 } });
    expect(result.value.origins.get("taskTimeout")).toEqual({ from: "default" });
    expect(result.value.file).toBe(FILE);
  });

  test("a path left behind by the file does not hinder a flag that says empty", () => {
    const text = "desired: { source: directory, path: /d }\n";
    expect(config(text, { flags: { "desired.source": "empty" } }).desired).toEqual({ source: "empty" });
    expect(config(text, { flags: { "desired.path": "relative" } }).desired).toEqual({ source: "directory", path: "/srv/here/relative" });
    expect(config(undefined, { environment: { STEWARD_DESIRED_SOURCE: "directory", STEWARD_DESIRED_PATH: "d" } }).desired).toEqual({ source: "directory", path: "/srv/here/d" });
  });

  test("unknown variables with the prefix are errors, near ones with a suggestion", () => {
    expect(problems(undefined, { environment: { STEWARD_DRYRUN: "1" } })).toEqual(["variable STEWARD_DRYRUN: expected the variable of a setting, found an unknown one; did you mean `STEWARD_DRY_RUN`?"]);
    expect(problems(undefined, { environment: { STEWARD_XYZZY_PLUGH: "1" } })[0]).toEndWith("docs/configuration.md lists them");
    expect(problems(undefined, { environment: { STEWARD_NODE: undefined, STEWARDSHIP: "1" } })).toEqual([]);
  });

  test("the fingerprint is that of the file's bytes", () => {
    const result = load("node: a\n");
    expect(result).toMatchObject({ ok: true, value: { fingerprint: fingerprintOf(new TextEncoder().encode("node: a\n")) } });
    expect(load(undefined)).toMatchObject({ ok: true, value: { file: undefined } });
  });
});

describe("secrets", () => {
  test("a token in the place of its file's path is refused without being printed", () => {
    const told = problems("proxmox: { tokenFile: 'root@pam!agent=0a1b2c3d-0000-4000-8000-000000000000' }\n").join("\n");
    expect(told).toContain("found the token itself");
    expect(told).not.toContain("0a1b2c3d");
  });

  test("a password in the URL is refused without being printed", () => {
    const told = problems("proxmox: { url: 'https://root:hunter2@pve1:8006' }\n").join("\n");
    expect(told).toContain("found one with a user in it");
    expect(told).not.toContain("hunter2");
  });
});
