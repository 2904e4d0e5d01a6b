import { expect, test } from "bun:test";
import { formOf, isDrift, merged, refusal } from "./support.ts";

/** Sent, and what a real Proxmox gave back (undefined: absent). */
const QEMU_DESCRIPTIONS: readonly (readonly [string, string | undefined])[] = [
  ["plain", "plain"], ["trailing newline\n", "trailing newline"], ["two trailing\n\n", "two trailing"], ["line1\n\nline3", "line1\n\nline3"],
  ["\nleading newline", "\nleading newline"], ["unicode äöü ☃ 日本 😀", "unicode äöü ☃ 日本 😀"], ["percent 100% %25 %0A", "percent 100% %25 %0A"],
  ["#leading hash", "#leading hash"], ["  leading and trailing spaces  ", "  leading and trailing spaces"], ["crlf\r\nnext", "crlf\r\nnext"],
  ["tab\ttab", "tab\ttab"], ["", undefined], [" ", undefined], ["\n", undefined], ["a\n[snap1]\nb", "a\n[snap1]\nb"], ['back\\slash "quote"', 'back\\slash "quote"'],
];

const LXC_DESCRIPTIONS: readonly (readonly [string, string | undefined])[] = [
  ["plain", "plain\n"], ["trailing newline\n", "trailing newline\n"], ["two trailing\n\n", "two trailing\n"], ["line1\nline2", "line1\nline2\n"],
  ["\nleading newline", "\nleading newline\n"], ["percent 100% %25", "percent 100% %25\n"], ["  spaces  ", "  spaces  \n"], ["", undefined],
  [" ", " \n"], ["\n", undefined], ["crlf\r\nnext", "crlf\r\nnext\n"],
];

test.each(QEMU_DESCRIPTIONS)("rows 14 and 16: a VM's description sent as %j and read back as %j is no drift", (sent, back) => {
  expect(isDrift("qemu", "description", sent, back)).toBe(false);
});

test.each(LXC_DESCRIPTIONS)("rows 15 and 16: a container's description sent as %j and read back as %j is no drift", (sent, back) => {
  expect(isDrift("lxc", "description", sent, back)).toBe(false);
});

test("row 14: a description edited on a Windows machine equals the declared one", () => {
  expect(isDrift("qemu", "description", "a\nb\n", "a\r\nb")).toBe(false);
});

test("descriptions that differ inside are drift, and are sent as they were written", () => {
  expect(isDrift("qemu", "description", "a\n\nb", "a\nb")).toBe(true);
  expect(isDrift("lxc", "description", "x ", "x\n")).toBe(true);
  expect(merged("lxc", "description", "x\n\n", "y\n")).toBe("x\n\n");
});

test("row 15: a lone 0, which Proxmox would drop as false, is sent with a line end", () => {
  expect(merged("lxc", "description", "0")).toBe("0\n");
  expect(merged("lxc", "description", 0, "other\n")).toBe("0\n");
  expect(isDrift("lxc", "description", "0", "0\n")).toBe(false);
});

test.each([["0", undefined], ["0\n", undefined], ["0 \n\n", "other"], [0, "other"]] as const)("row 15: a VM's description %j over %j, which Proxmox would trim and drop, is refused", (declared, observed) => {
  expect(refusal("qemu", "description", declared, observed)).toMatch(/^expected text other than a lone 0 .*found "?0.*; add a word to it, or write null to have no description$/);
});

test("row 15: a VM's description 0 that is there all the same is no drift, and 0 with text beside it is sent", () => {
  expect(isDrift("qemu", "description", "0", "0")).toBe(false);
  expect(merged("qemu", "description", "00")).toBe("00");
  expect(merged("qemu", "description", " 0")).toBe(" 0");
});

test("a description longer than Proxmox takes is refused; characters count, not UTF-16 units", () => {
  expect(merged("qemu", "description", "x".repeat(8192))).toHaveLength(8192);
  expect(merged("qemu", "description", "😀".repeat(8192))).toHaveLength(16_384);
  expect(refusal("qemu", "description", "x".repeat(8193))).toBe('expected at most 8192 characters, found "8193 characters"; shorten it');
  expect(refusal("qemu", "description", ["a"])).toContain("expected text");
});

test.each(["", " ", undefined])("row 1: declared null equals an observed %j", (observed) => {
  for (const key of ["description", "tags", "boot", "net0", "scsi0", "cores", "bogus", "nameserver", "agent", "cpu", "sshkeys"]) {
    expect(isDrift("qemu", key, null, observed)).toBe(false);
  }
  for (const key of ["description", "tags", "net0", "mp0", "rootfs", "memory", "features", "searchdomain"]) expect(isDrift("lxc", key, null, observed)).toBe(false);
});

test.each(["tags", "description", "boot", "nameserver", "searchdomain", "bogus"])("row 1: a blank declared for %s is the same as null", (key) => {
  for (const blank of ["", " "]) {
    expect(merged("qemu", key, blank, "x")).toBeNull();
    expect(isDrift("qemu", key, blank, " ")).toBe(false);
  }
});

test.each(["web", "Web.example.com", "123", "a-b", "a".repeat(64)])("row 18: the name %s is taken as it is written", (name) => {
  expect(merged("qemu", "name", name)).toBe(name);
  expect(merged("lxc", "hostname", name)).toBe(name);
});

test.each(["a b", "under_score", "-x", "x-", "", "ümlaut", "a..b", "a\nmemory: 16", ".a"])("row 18: the name %j is refused", (name) => {
  expect(refusal("qemu", "name", name)).toContain("expected a DNS name");
  expect(refusal("lxc", "hostname", name)).toContain("expected a DNS name");
});

test("row 18: a name's case is kept, so a change of case is drift", () => {
  expect(isDrift("qemu", "name", "Web", "web")).toBe(true);
  expect(refusal("lxc", "hostname", "a".repeat(256))).toContain("expected");
});

test("row 17: one pair of outer quotes is dropped by Proxmox and means nothing", () => {
  expect(isDrift("qemu", "args", '"-cpu host"', "-cpu host")).toBe(false);
  expect(formOf("qemu", "ciuser", '"bob"')).toBe("bob");
});

test.each([
  ["lxc", "1.1.1.1,8.8.8.8", "1.1.1.1 8.8.8.8"], ["lxc", "1.1.1.1;8.8.8.8", "1.1.1.1 8.8.8.8"], ["qemu", "1.1.1.1 8.8.8.8", "1.1.1.1,8.8.8.8"], ["qemu", "2001:DB8::1", "2001:db8::1"],
] as const)("rows 72 and 73: %s name servers %j read back as %j are no drift", (kind, sent, back) => {
  expect(isDrift(kind, "nameserver", sent, back)).toBe(false);
  expect(isDrift(kind, "nameserver", sent.split(/[,; ]/), back)).toBe(false);
  expect(merged(kind, "nameserver", sent, back)).toBe(back);
});

test("rows 72 and 73: the order of name servers and search domains is a resolver's order", () => {
  expect(isDrift("qemu", "nameserver", ["8.8.8.8", "1.1.1.1"], "1.1.1.1 8.8.8.8")).toBe(true);
  expect(isDrift("lxc", "searchdomain", ["b.lan", "a.lan"], "a.lan b.lan")).toBe(true);
  expect(merged("lxc", "searchdomain", ["b.lan", "a.lan"])).toBe("b.lan a.lan");
});

test.each([["bogus"], ["256.1.1.1"], [["1.1.1.1", ""]], ["1.1.1.1/24"], [["1.1.1.1 8.8.8.8"]]])("row 73: container name servers %j are refused", (declared) => {
  expect(refusal("lxc", "nameserver", declared)).toContain("an IP address");
});

test("a container's name server may name the interface of a link-local address, a VM's may be a name", () => {
  expect(merged("lxc", "nameserver", "fe80::1%eth0")).toBe("fe80::1%eth0");
  expect(merged("qemu", "nameserver", "dns.example.com")).toBe("dns.example.com");
});

test("keys without an entry: trimmed text, a map as a property string in any order, booleans as digits", () => {
  expect(isDrift("qemu", "future", { b: 2, a: true }, "a=1,b=2")).toBe(false);
  expect(isDrift("qemu", "future", "b=2,a=1", "a=1,b=2")).toBe(false);
  expect(isDrift("qemu", "future", " x ", "x")).toBe(false);
  expect(isDrift("qemu", "future", "b,a", "a,b")).toBe(true);
  expect(merged("qemu", "future", true)).toBe("1");
  expect(merged("qemu", "future", ["a", "b"])).toBe("a,b");
  expect(merged("qemu", "future", { a: null, c: [1, 2] }, "x,a=1,b=2")).toBe("x,b=2,c=1;2");
  expect(refusal("qemu", "future", "a\nb")).toContain("one line of text");
  expect(refusal("qemu", "future", ["a", ""])).toContain("one line of text");
});
