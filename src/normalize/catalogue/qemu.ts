import { BOOLEAN_OFF, BOOLEAN_ON } from "../booleans.ts";
import { BOOT } from "../fields/boot.ts";
import { CUSTOM_FILES, IP_CONFIG, PASSWORD, SSH_KEYS } from "../fields/cloud-init.ts";
import { CD_DRIVE, EFI_DRIVE, QEMU_DRIVE, TPM_DRIVE } from "../fields/drive-formats.ts";
import {
  AMD_SEV, AUDIO, INTEL_TDX, NUMA_NODE, PCI, RANDOM_SOURCE, SHARED_MEMORY, SPICE_ENHANCEMENTS, USB, VGA, VIRTIOFS, WATCHDOG,
} from "../fields/hardware.ts";
import { QEMU_NET } from "../fields/network.ts";
import { BALLOON, CPU, MACHINE, QEMU_MEMORY, VCPUS, cpuUnits } from "../fields/processor.ts";
import { QEMU_NAME_SERVERS, SEARCH_DOMAINS } from "../fields/resolver.ts";
import { SMBIOS } from "../fields/smbios.ts";
import { AGENT, HOTPLUG } from "../fields/starting.ts";
import { decimal, integer } from "../numbers.ts";
import { rangeSet } from "../ranges.ts";
import { scalarField } from "../scalar-field.ts";
import { DNS_NAME_RULE, TEXT, UNQUOTED_TEXT, matching, oneOf } from "../text-rules.ts";
import type { FieldNormalizer, NormalizeContext } from "../types.ts";
import { textOf, withDefault, type ValueRule } from "../value-rule.ts";
import { field, fields, type CatalogueEntry } from "./entry.ts";
import { SHARED } from "./shared.ts";

const OS_TYPES = ["other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24", "l26", "solaris"];
const KEYBOARDS = [
  "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "ja", "lt", "mk", "nl", "no",
  "pl", "pt", "pt-br", "sv", "sl", "tr",
];
const COUNT_RULE = integer({ minimum: 1, byDefault: "1" });

/** Windows expects local time; without knowing the system there is no default to compare with. */
function localTimeDefault({ siblings }: NormalizeContext): string | undefined {
  if (siblings === undefined) return undefined;
  return textOf(siblings["ostype"]).startsWith("w") ? "1" : "0";
}

/** A declared `1` asks for a generated identifier and is satisfied by any (docs/proxmox.md row 60). */
const GENERATION_ID: ValueRule = {
  expected: '"1", "0" or a UUID',
  canonical: (text) => text.toLowerCase(),
  isWritable: (text) => /^(?:[01]|[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12})$/.test(text),
  covers: (declared, observed) => declared === "1" && observed !== "0",
};

const SERIAL_PORT = matching(/^(?:socket|\/dev\/.+)$/, '"socket" or a path under /dev');
const PARALLEL_PORT = matching(/^\/dev\/(?:parport\d+|usb\/lp\d+)$/, '"/dev/parportN" or "/dev/usb/lpN"');
const BOOT_DISK = matching(/^(?:ide|sata|scsi|virtio)\d+$/, 'a disk such as "scsi0"');
const START_DATE = matching(/^(?:now|\d{4}-\d{1,2}-\d{1,2}(?:T\d{1,2}:\d{1,2}:\d{1,2})?)$/, '"now", a date or a date and time');

/** Proxmox turns the number of CPUs, as it once was, into sockets when it next writes (docs/proxmox.md row 55). */
function socketsThere({ siblings }: NormalizeContext): string {
  return textOf(siblings?.["sockets"]) || "1";
}

/** With an `order=` in boot this says nothing, and Proxmox drops it (docs/proxmox.md row 50). */
const BOOT_DISK_FIELD: FieldNormalizer = {
  ...scalarField(BOOT_DISK),
  normalize: (raw, context) => (/(?:^|,)order=/.test(textOf(context.siblings?.["boot"])) ? null : scalarField(BOOT_DISK).normalize(raw, context)),
};

/** How many of each bus, interface and device Proxmox has for a VM, and what its keys mean. */
export const QEMU_CATALOGUE: readonly CatalogueEntry[] = [
  ...SHARED,
  field("name", scalarField(DNS_NAME_RULE)),
  field("cores", scalarField(COUNT_RULE)),
  field("sockets", scalarField(COUNT_RULE)),
  field("smp", scalarField(withDefault(integer({ minimum: 1 }), socketsThere))),
  field("vcpus", VCPUS),
  field("memory", QEMU_MEMORY),
  field("balloon", BALLOON),
  field("shares", scalarField(integer({ minimum: 0, maximum: 50_000, byDefault: "1000" }))),
  field("cpu", CPU),
  field("cpulimit", scalarField(decimal({ minimum: 0, maximum: 128, byDefault: "0" }))),
  field("cpuunits", cpuUnits(1, 262_144)),
  field("affinity", scalarField(rangeSet(","))),
  field("numa", scalarField(BOOLEAN_OFF)),
  fields("numa", 8, NUMA_NODE),
  field("hugepages", scalarField(oneOf(["any", "2", "1024"]))),
  field("keephugepages", scalarField(BOOLEAN_OFF)),
  field("allow-ksm", scalarField(BOOLEAN_ON)),
  field("machine", MACHINE),
  field("arch", scalarField(oneOf(["x86_64", "aarch64"]))),
  field("bios", scalarField(oneOf(["seabios", "ovmf"], "seabios"))),
  field("ostype", scalarField(oneOf(OS_TYPES, "other"))),
  field("smbios1", SMBIOS),
  field("vmgenid", scalarField(GENERATION_ID)),
  field("amd-sev", AMD_SEV),
  field("intel-tdx", INTEL_TDX),
  field("args", scalarField(UNQUOTED_TEXT)),
  // How it starts.
  field("boot", BOOT),
  field("bootdisk", BOOT_DISK_FIELD),
  field("agent", AGENT),
  field("hotplug", HOTPLUG),
  field("acpi", scalarField(BOOLEAN_ON)),
  field("kvm", scalarField(BOOLEAN_ON)),
  field("autostart", scalarField(BOOLEAN_OFF)),
  field("freeze", scalarField(BOOLEAN_OFF)),
  field("reboot", scalarField(BOOLEAN_ON)),
  field("localtime", scalarField(withDefault(BOOLEAN_OFF, localTimeDefault))),
  field("startdate", scalarField(withDefault(START_DATE, "now"))),
  field("tdf", scalarField(BOOLEAN_OFF)),
  field("migrate_downtime", scalarField(decimal({ minimum: 0, byDefault: "0.1" }))),
  field("migrate_speed", scalarField(integer({ minimum: 0, byDefault: "0" }))),
  field("vmstatestorage", scalarField(TEXT)),
  // Devices.
  fields("net", 32, QEMU_NET),
  field("cdrom", CD_DRIVE),
  fields("ide", 4, QEMU_DRIVE),
  fields("sata", 6, QEMU_DRIVE),
  fields("scsi", 31, QEMU_DRIVE),
  fields("virtio", 16, QEMU_DRIVE),
  field("efidisk0", EFI_DRIVE),
  field("tpmstate0", TPM_DRIVE),
  field("scsihw", scalarField(oneOf(["lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi"], "lsi"))),
  field("vga", VGA),
  field("keyboard", scalarField(oneOf(KEYBOARDS))),
  field("tablet", scalarField(BOOLEAN_ON)),
  field("audio0", AUDIO),
  field("rng0", RANDOM_SOURCE),
  field("watchdog", WATCHDOG),
  field("ivshmem", SHARED_MEMORY),
  field("spice_enhancements", SPICE_ENHANCEMENTS),
  fields("virtiofs", 10, VIRTIOFS),
  fields("serial", 4, scalarField(SERIAL_PORT)),
  fields("parallel", 3, scalarField(PARALLEL_PORT)),
  fields("usb", 14, USB),
  fields("hostpci", 16, PCI),
  // Cloud-init.
  field("ciuser", scalarField(UNQUOTED_TEXT)),
  field("cipassword", PASSWORD),
  field("citype", scalarField(oneOf(["configdrive2", "nocloud", "opennebula"]))),
  field("ciupgrade", scalarField(BOOLEAN_ON)),
  field("cicustom", CUSTOM_FILES),
  field("sshkeys", SSH_KEYS),
  fields("ipconfig", 32, IP_CONFIG),
  field("nameserver", QEMU_NAME_SERVERS),
  field("searchdomain", SEARCH_DOMAINS),
];
