import { BOOLEAN_OFF, BOOLEAN_ON } from "../booleans.ts";
import { MOUNT_DRIVE, ROOT_DRIVE } from "../fields/drive-formats.ts";
import { ENVIRONMENT } from "../fields/environment.ts";
import { LXC_DEVICE, LXC_FEATURES } from "../fields/hardware.ts";
import { LXC_NET } from "../fields/network.ts";
import { LXC_NAME_SERVERS, SEARCH_DOMAINS } from "../fields/resolver.ts";
import { LXC_MEMORY, cpuUnits } from "../fields/processor.ts";
import { decimal, integer } from "../numbers.ts";
import { scalarField } from "../scalar-field.ts";
import { HOSTNAME_RULE, matching, oneOf } from "../text-rules.ts";
import { field, fields, type CatalogueEntry } from "./entry.ts";
import { SHARED } from "./shared.ts";

const OS_TYPES = [
  "debian", "devuan", "ubuntu", "centos", "fedora", "opensuse", "archlinux", "alpine", "gentoo", "nixos", "unmanaged",
];
const ARCHITECTURES = ["amd64", "i386", "arm64", "armhf", "riscv32", "riscv64"];
const TIME_ZONE = matching(/^(?:host|[A-Za-z0-9_+-]+(?:\/[A-Za-z0-9_+-]+)*)$/, '"host" or a zone such as "Europe/Vienna"');
const ENTRY_POINT = { ...matching(/^.+$/, "a command"), byDefault: "/sbin/init" };

/** What a container's keys mean. Defaults of console, tty, cmode: docs/proxmox.md row 81. */
export const LXC_CATALOGUE: readonly CatalogueEntry[] = [
  ...SHARED,
  field("hostname", scalarField(HOSTNAME_RULE)),
  // Absent means every core of the host, which no number says.
  field("cores", scalarField(integer({ minimum: 1, maximum: 8192 }))),
  field("memory", LXC_MEMORY),
  field("swap", scalarField(integer({ minimum: 0, byDefault: "512" }))),
  field("cpulimit", scalarField(decimal({ minimum: 0, maximum: 8192, byDefault: "0" }))),
  field("cpuunits", cpuUnits(0, 500_000)),
  field("arch", scalarField(oneOf(ARCHITECTURES, "amd64"))),
  field("ostype", scalarField(oneOf(OS_TYPES))),
  field("unprivileged", scalarField(BOOLEAN_OFF)),
  field("features", LXC_FEATURES),
  fields("net", 32, LXC_NET),
  field("nameserver", LXC_NAME_SERVERS),
  field("searchdomain", SEARCH_DOMAINS),
  field("timezone", scalarField(TIME_ZONE)),
  field("console", scalarField(BOOLEAN_ON)),
  field("tty", scalarField(integer({ minimum: 0, maximum: 6, byDefault: "2" }))),
  field("cmode", scalarField(oneOf(["shell", "console", "tty"], "tty"))),
  field("debug", scalarField(BOOLEAN_OFF)),
  field("env", ENVIRONMENT),
  field("entrypoint", scalarField(ENTRY_POINT)),
  field("rootfs", ROOT_DRIVE),
  fields("mp", 256, MOUNT_DRIVE),
  fields("dev", 256, LXC_DEVICE),
];
