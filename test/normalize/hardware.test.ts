import { expect, test } from "bun:test";
import { formOf, isDrift, merged, refusal } from "./support.ts";

test.each([
  ["vga", "std", undefined], ["vga", "std", "type=std"], ["rng0", "source=/dev/urandom", "/dev/urandom,max_bytes=1024,period=1000"], ["watchdog", "i6300esb", "model=i6300esb"],
  ["audio0", "device=AC97", "device=AC97,driver=spice"], ["usb0", "host=0x1234:0xABCD", "1234:abcd"], ["usb0", "SPICE,usb3=0", "spice"],
  ["hostpci0", "0000:01:00.0,pcie=0,rombar=1", "01:00.0"], ["hostpci0", "01:00.0,vendor-id=10DE", "host=01:00.0,vendor-id=0x10de"], ["virtiofs0", "share", "dirid=share,cache=auto"],
  ["ivshmem", "size=32,name=x", "name=x,size=32"], ["spice_enhancements", "foldersharing=0,videostreaming=all", "videostreaming=all"],
] as const)("row 64: %s %j and %j are one", (key, declared, observed) => {
  expect(isDrift("qemu", key, declared, observed)).toBe(false);
});

test.each([
  ["vga", "vesa"], ["rng0", "/dev/zero"], ["watchdog", "cat"], ["usb0", "12:34"], ["hostpci0", "nowhere"], ["serial0", "tcp"], ["parallel0", "/dev/lp"], ["keyboard", "xx"], ["scsihw", "scsi"], ["bios", "uefi"],
  ["ostype", "win99"], ["startdate", "tomorrow"],
] as const)("%s refuses %j", (key, declared) => {
  expect(refusal("qemu", key, declared)).toContain("expected");
});

test.each([
  ["qemu", "bios", "seabios"], ["qemu", "scsihw", "lsi"], ["qemu", "ostype", "other"], ["qemu", "acpi", 1], ["qemu", "kvm", 1], ["qemu", "tablet", 1], ["qemu", "numa", 0], ["qemu", "freeze", 0],
  ["qemu", "template", 0], ["qemu", "protection", 0], ["qemu", "startdate", "now"], ["qemu", "ciupgrade", 1], ["lxc", "console", 1], ["lxc", "cmode", "tty"], ["lxc", "unprivileged", 0], ["lxc", "arch", "amd64"],
] as const)("rows 8, 67, 74, 76 and 81: %s %s %j is what absent is", (kind, key, value) => {
  expect(isDrift(kind, key, value)).toBe(false);
  expect(isDrift(kind, key, null, value)).toBe(false);
});

test("rows 67 and 81: where Proxmox has no default, none is made up", () => {
  expect(isDrift("qemu", "keyboard", "en-us")).toBe(true);
  expect(isDrift("lxc", "timezone", "host")).toBe(true);
  expect(isDrift("qemu", "arch", "x86_64")).toBe(true);
});

test("row 61: smbios1 plain and encoded are one; the UUID's case says nothing", () => {
  const encoded = "base64=1,uuid=AAAAAAAA-0000-4000-8000-000000000101,manufacturer=QWNtZSBJbmM=";
  expect(isDrift("qemu", "smbios1", { uuid: "aaaaaaaa-0000-4000-8000-000000000101", manufacturer: "Acme Inc" }, encoded)).toBe(false);
  expect(merged("qemu", "smbios1", { product: "One Two" }, "uuid=aaaaaaaa-0000-4000-8000-000000000101,manufacturer=Acme")).toBe(
    "base64=1,uuid=aaaaaaaa-0000-4000-8000-000000000101,manufacturer=QWNtZQ==,product=T25lIFR3bw==",
  );
  expect(isDrift("qemu", "smbios1", { serial: "QUJD=" }, "serial=QUJD=")).toBe(false);
  expect(formOf("qemu", "smbios1", "base64=1,serial=not base64!")).toBe("base64=1,serial=not base64!");
});

test("row 78: a container's features are flags and a set of file systems", () => {
  expect(isDrift("lxc", "features", { nesting: true, mount: ["cifs", "nfs"], fuse: 0 }, "mount=nfs;cifs,nesting=1")).toBe(false);
  expect(merged("lxc", "features", { keyctl: 1 }, "nesting=1")).toBe("nesting=1,keyctl=1");
  expect(merged("lxc", "features", { nesting: null }, "nesting=1")).toBeNull();
  expect(refusal("lxc", "features", "bogus=1")).toContain("bogus");
});

test("row 82: a device's mode is octal text; its path stands bare", () => {
  expect(isDrift("lxc", "dev0", { path: "/dev/fuse", mode: "0660" }, "/dev/fuse,mode=0660")).toBe(false);
  expect(refusal("lxc", "dev0", { path: "/dev/fuse", mode: 660 })).toContain("octal");
});

test("row 70: cicustom in any order; row 71: ipconfig has no bare form", () => {
  expect(isDrift("qemu", "cicustom", "user=local:snippets/u.yml,meta=local:snippets/m.yml", "meta=local:snippets/m.yml,user=local:snippets/u.yml")).toBe(false);
  expect(isDrift("qemu", "ipconfig0", { ip: "10.0.0.5/24", gw: "10.0.0.1" }, "gw=10.0.0.1,ip=10.0.0.5/24")).toBe(false);
  expect(refusal("qemu", "ipconfig0", "dhcp")).toContain("a map or text");
  expect(refusal("qemu", "ipconfig0", { ip: "10.0.0.5" })).toContain("prefix length");
});

const KEY_A = "ssh-ed25519 AAAAC3Nz a@host";
const KEY_B = "ssh-rsa AAAAB3Nz+/= b@host";

test("row 68: SSH keys plain, as a list, encoded, in any order, with blank lines: one set", () => {
  const observed = `${encodeURIComponent(`${KEY_B}\n\n${KEY_A}`)}%0A`;
  for (const declared of [`${KEY_A}\n${KEY_B}\n`, [KEY_A, KEY_B], encodeURIComponent(`${KEY_A}\r\n${KEY_B}`)]) {
    expect(isDrift("qemu", "sshkeys", declared, observed)).toBe(false);
    expect(merged("qemu", "sshkeys", declared, observed)).toBe(observed);
  }
  expect(merged("qemu", "sshkeys", [KEY_A])).toBe(`${encodeURIComponent(KEY_A)}%0A`);
  expect(isDrift("qemu", "sshkeys", [KEY_A], observed)).toBe(true);
  expect(refusal("qemu", "sshkeys", [""])).toContain("SSH public keys");
});

test("row 69: a password is never compared and never repeated, in a form or in a message", () => {
  expect(formOf("qemu", "cipassword", "$5$salt$hash")).toBe("**********");
  expect(refusal("qemu", "cipassword", "s3cret")).not.toContain("s3cret");
  expect(isDrift("qemu", "cipassword", null, "**********")).toBe(true);
});

test("row 64: memory encryption, parts in any order, defaults said or not", () => {
  expect(isDrift("qemu", "amd-sev", { type: "snp", "allow-smt": true }, "type=snp")).toBe(false);
  expect(isDrift("qemu", "amd-sev", "snp,kernel-hashes=0,no-debug=1", "no-debug=1,type=snp")).toBe(false);
  expect(isDrift("qemu", "amd-sev", { "allow-smt": 0 }, "snp")).toBe(true);
  expect(merged("qemu", "amd-sev", { "no-debug": 1 }, "es,no-key-sharing=1")).toBe("es,no-key-sharing=1,no-debug=1");
  expect(isDrift("qemu", "intel-tdx", "tdx", "type=tdx,attestation=1")).toBe(false);
  expect(isDrift("qemu", "intel-tdx", { attestation: 0 }, "tdx,attestation=1,vsock-cid=2")).toBe(true);
  expect(refusal("qemu", "amd-sev", "best")).toContain("type");
});
