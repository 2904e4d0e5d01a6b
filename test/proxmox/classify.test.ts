import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { ProxmoxFault } from "../../src/ports/proxmox-api.ts";
import { classifyAnswer } from "../../src/proxmox/classify.ts";
import { cleanText } from "../../src/proxmox/faults.ts";
import { readRecording } from "../support/recordings.ts";

const WHERE = "PUT /nodes/pve1/qemu/101/config";

/** As pveproxy gives it: the text is the reason phrase and, with a line feed, the body's message. */
function refused(status: number, text: string, errors?: Record<string, string>): ProxmoxFault {
  const body = JSON.stringify({ data: null, message: `${text}\n`, ...(errors === undefined ? {} : { errors }) });
  return classifyAnswer({ status, reason: text, body }, WHERE);
}

function bare(status: number, reason: string): ProxmoxFault {
  return classifyAnswer({ status, reason, body: "" }, WHERE);
}

const LOCKS = ["backup", "clone", "create", "migrate", "rollback", "snapshot", "snapshot-delete", "suspending", "suspended", "destroyed", "disk", "fstrim", "mounted", "bogus"];

describe("a config lock (row A9)", () => {
  for (const kind of ["VM", "CT"]) {
    test.each(LOCKS)(`${kind} is locked (%s)`, (lock) => {
      expect(refused(500, `${kind} is locked (${lock})`)).toMatchObject({ code: "proxmox.locked", lock, delivery: "answered", status: 500 });
    });
  }
});

describe("texts that Proxmox gives with status 500 (rows A10, A11, A12, A13 and A14)", () => {
  const rows: readonly (readonly [text: string, expected: Partial<ProxmoxFault> & Record<string, unknown>])[] = [
    ["can't lock file '/var/lock/qemu-server/lock-101.conf' - got timeout", { code: "proxmox.lock_timeout" }],
    ["can't lock file '/run/lock/lxc/pve-config-200.lock' - got timeout", { code: "proxmox.lock_timeout" }],
    ["cfs-lock 'storage-local' error: got lock request timeout", { code: "proxmox.lock_timeout" }],
    ["checksum mismatch (file change by other user?)", { code: "proxmox.digest_conflict" }],
    ["detected modified configuration - file changed by other user? Try again.", { code: "proxmox.digest_conflict" }],
    ["Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist", { code: "proxmox.guest_missing" }],
    ["Configuration file 'nodes/pve1/lxc/100.conf' does not exist", { code: "proxmox.guest_missing" }],
    ["RPCEnvironment init request failed: Unable to load access control list: Connection refused", { code: "proxmox.transient", isReadOnlyCluster: false }],
    ["ipcc_send_rec[1] failed: Connection refused", { code: "proxmox.transient", isReadOnlyCluster: false }],
    ["unable to open file '/etc/pve/nodes/pve1/qemu-server/101.conf.tmp.77' - Transport endpoint is not connected", { code: "proxmox.transient", isReadOnlyCluster: false }],
    ["cluster not ready - no quorum?", { code: "proxmox.transient", isReadOnlyCluster: true }],
    ["cfs-lock 'file-user_cfg' error: no quorum!", { code: "proxmox.transient", isReadOnlyCluster: true }],
    ["unable to open file '/etc/pve/nodes/pve1/qemu-server/101.conf.tmp.77' - Permission denied", { code: "proxmox.transient", isReadOnlyCluster: true }],
    ["unable to open file '/etc/pve/nodes/pve1/lxc/200.conf.tmp.77' - Read-only file system", { code: "proxmox.transient", isReadOnlyCluster: true }],
    ["only root can set 'args' config", { code: "proxmox.other" }],
    ["invalid bootorder: device 'net0' does not exist'", { code: "proxmox.other" }],
    ["storage 'nostorage' does not exist", { code: "proxmox.other" }],
    ["unable to delete required option 'memory'", { code: "proxmox.other" }],
    ["unable to modify read-only option: 'unprivileged'", { code: "proxmox.other" }],
    ["VM 101 not running", { code: "proxmox.other" }],
    ["CT 200 already running", { code: "proxmox.other" }],
    ["no options specified", { code: "proxmox.other" }],
    ["unable to open file '/etc/ssh/x' - Permission denied", { code: "proxmox.other" }],
    ["hostname lookup 'ghost' failed - failed to get address info for: ghost: Name or service not known", { code: "proxmox.other" }],
  ];
  test.each(rows)("%s", (text, expected) => {
    const fault = refused(500, text);
    expect(fault).toMatchObject({ ...expected, delivery: "answered", status: 500 });
    expect(fault.message).toContain(`${WHERE}: Proxmox answered 500 ${text}`);
    // Without a JSON body, as when pmxcfs is down, the reason phrase says the same.
    expect(bare(500, text)).toMatchObject(expected);
  });
});

describe("statuses (rows A4, A5, A7, A15, A16 and T12)", () => {
  const rows: readonly (readonly [status: number, reason: string, expected: Record<string, unknown>])[] = [
    [401, "Authentication failed!", { code: "proxmox.unauthenticated", delivery: "answered" }],
    [401, "No ticket", { code: "proxmox.unauthenticated", delivery: "answered" }],
    [403, "Permission check failed", { code: "proxmox.forbidden", missing: "Permission check failed" }],
    [403, "Permission check failed (/vms/100, VM.Audit)", { code: "proxmox.forbidden", missing: "(/vms/100, VM.Audit)" }],
    [403, "Permission check failed (/vms/200, VM.Config.Disk|VM.Config.CPU)", { code: "proxmox.forbidden", missing: "(/vms/200, VM.Config.Disk|VM.Config.CPU)" }],
    [
      403,
      "Permission check failed (changing feature flags for privileged container is only allowed for root@pam)",
      { code: "proxmox.forbidden", missing: "changing feature flags for privileged container is only allowed for root@pam" },
    ],
    [501, "Method 'POST /nodes/pve1/lxc/200/config' not implemented", { code: "proxmox.other", delivery: "answered" }],
    [501, "Unexpected content for method 'GET'", { code: "proxmox.other", delivery: "answered" }],
    [503, "Service Unavailable", { code: "proxmox.transient", isReadOnlyCluster: false, delivery: "answered" }],
    [595, "Connection refused", { code: "proxmox.unreachable", delivery: "none" }],
    [595, "No route to host", { code: "proxmox.unreachable", delivery: "none" }],
    [596, "Broken pipe", { code: "proxmox.no_answer", delivery: "unknown" }],
    [596, "Connection timed out", { code: "proxmox.no_answer", delivery: "unknown" }],
    [597, "Connection reset by peer", { code: "proxmox.no_answer", delivery: "unknown" }],
    [599, "Too many redirections", { code: "proxmox.no_answer", delivery: "unknown" }],
    [502, "Bad Gateway", { code: "proxmox.no_answer", delivery: "unknown" }],
    [504, "Gateway Time-out", { code: "proxmox.no_answer", delivery: "unknown" }],
    [301, "Moved Permanently", { code: "proxmox.unexpected_answer", delivery: "unknown" }],
    [404, "Not Found", { code: "proxmox.other", delivery: "answered" }],
  ];
  test.each(rows)("%d %s", (status, reason, expected) => {
    expect(bare(status, reason)).toMatchObject({ ...expected, status });
    expect(refused(status, reason)).toMatchObject({ ...expected, status });
  });

  test("400 names every parameter and what is wrong with it (rows A6, O4 and O19)", () => {
    const fault = refused(400, "Parameter verification failed.", { net1: "hotplug problem - bridge 'x' does not exist\n", cores: "type check ('integer') failed - got 'a'" });
    expect(fault).toMatchObject({
      code: "proxmox.bad_parameter",
      parameters: { net1: "hotplug problem - bridge 'x' does not exist", cores: "type check ('integer') failed - got 'a'" },
    });
    expect(fault.message).toContain("net1: hotplug problem - bridge 'x' does not exist; cores: type check");
  });
});

test("every refusal recorded from a real host is named, and nothing is mistaken for an answer that is not Proxmox's (rows A8, A17 and 21)", () => {
  const expected: Readonly<Record<number, readonly string[]>> = {
    400: ["proxmox.bad_parameter"],
    401: ["proxmox.unauthenticated"],
    403: ["proxmox.forbidden"],
    500: ["proxmox.other", "proxmox.guest_missing", "proxmox.transient", "proxmox.locked", "proxmox.lock_timeout", "proxmox.digest_conflict"],
    501: ["proxmox.other"],
    595: ["proxmox.unreachable"],
    596: ["proxmox.no_answer"],
  };
  const seen = new Set<number>();
  for (const name of ["01-basic.txt", "02-auth.txt", "12-http.txt", "13-failures.txt"]) {
    for (const exchange of readRecording(name)) {
      const [, code = "", reason = ""] = /^HTTP\/1\.1 (\d+) ?(.*)$/.exec(exchange.statusLine) ?? [];
      const status = Number(code);
      const allowed = expected[status];
      if (allowed === undefined) continue;
      seen.add(status);
      expect(allowed).toContain(classifyAnswer({ status, reason, body: exchange.body }, exchange.path).code);
    }
  }
  expect([...seen].sort((a, b) => a - b)).toEqual([400, 401, 403, 500, 501, 595, 596]);
});

describe("hostile texts", () => {
  test("control characters, escapes and direction marks do not reach a message", () => {
    const fault = refused(500, "a\u001b[31mred\u0007\r\nERROR forged\u202eline\u2028x\u0000");
    expect(fault.message).toBe(`${WHERE}: Proxmox answered 500 a [31mred ERROR forged line x`);
  });

  test("any bytes at all give a fault whose message is one printable line of bounded length", () => {
    fc.assert(
      fc.property(fc.integer({ min: 300, max: 599 }), fc.string({ unit: "binary", maxLength: 2000 }), fc.string({ unit: "binary", maxLength: 2000 }), (status, reason, message) => {
        const bodies = [message, JSON.stringify({ message, errors: { [reason]: message } }), JSON.stringify([message]), "null", "7"];
        for (const body of bodies) {
          const fault = classifyAnswer({ status, reason, body }, WHERE);
          expect(fault.message).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
          expect(fault.message.length).toBeLessThan(1_000);
        }
      }),
    );
  });

  test("cleaning is idempotent", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 700 }), (text) => expect(cleanText(cleanText(text)).slice(0, 500)).toBe(cleanText(text).slice(0, 500))));
  });
});
