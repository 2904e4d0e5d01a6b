import type { FileSystem } from "../ports/file-system.ts";
import type { ListenFacts, PortFacts } from "./facts.ts";

/**
 * Who has the health port, told from what Linux shows of its sockets. Nothing is bound: an agent that
 * starts at this moment must find the port free.
 */
interface ListenOptions {
  readonly files: FileSystem;
  readonly procDir: string;
  readonly hostname: string;
  readonly port: number;
  readonly ownAddresses: readonly string[];
  /** The running agent's process; undefined while none runs. */
  readonly agentPid: number | undefined;
}

/** Whether the health port can be had, and by whom it is held. Nothing fails: what cannot be read is not known. */
export function gatherListen(options: ListenOptions): ListenFacts {
  const { hostname, ownAddresses } = options;
  const isEverywhere = WILDCARDS.has(hostname) || hostname === "localhost";
  return { port: portFacts(options), isOwnAddress: isEverywhere || ownAddresses.includes(hostname), firstFreePort: firstFreePort(options) };
}

const WILDCARDS: ReadonlySet<string> = new Set(["", "::", "0.0.0.0"]);

/** Linux's own default for ports that only root may take. */
const PRIVILEGED_PORTS_END = 1_024;

function firstFreePort({ files, procDir }: ListenOptions): number {
  const read = files.readFile(`${procDir}/sys/net/ipv4/ip_unprivileged_port_start`);
  const value = Number(read.ok ? new TextDecoder().decode(read.value).trim() : Number.NaN);
  return Number.isInteger(value) ? value : PRIVILEGED_PORTS_END;
}

function portFacts(options: ListenOptions): PortFacts {
  const { files, procDir, port, agentPid } = options;
  if (port === 0) return { state: "any" };
  const tables = ["tcp", "tcp6"].map((name) => files.readFile(`${procDir}/net/${name}`));
  const texts = tables.flatMap((table) => (table.ok ? [new TextDecoder().decode(table.value)] : []));
  const [first] = tables;
  if (texts.length === 0) return { state: "unknown", message: first?.ok === false ? first.error.message : "" };
  const taken = texts.flatMap(listeners).filter((listener) => listener.port === port && isInTheWay(listener.address, options.hostname));
  if (taken.length === 0) return { state: "free" };
  if (agentPid === undefined) return { state: "taken", mayBeOurs: false };
  const open = openInodes(files, `${procDir}/${agentPid}/fd`);
  if (open === undefined) return { state: "taken", mayBeOurs: true };
  return taken.every(({ inode }) => open.has(inode)) ? { state: "ours" } : { state: "taken", mayBeOurs: false };
}

interface Listener {
  /** As the kernel writes it: hexadecimal words in its own byte order. */
  readonly address: string;
  readonly port: number;
  readonly inode: number;
}

/** State of a socket that listens (include/net/tcp_states.h). */
const LISTENING = "0A";

/** Listening sockets in the text of /proc/net/tcp or tcp6 (proc(5)). */
export function listeners(table: string): readonly Listener[] {
  return table.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [address, port] = (fields[1] ?? "").split(":");
    return fields[3] !== LISTENING || address === undefined || port === undefined ? [] : [{ address, port: Number.parseInt(port, 16), inode: Number(fields[9]) }];
  });
}

/** Whether somebody at `address` keeps an agent from listening on `hostname`: either on every address, or both on the same. */
function isInTheWay(address: string, hostname: string): boolean {
  if (/^0+$/.test(address) || WILDCARDS.has(hostname)) return true;
  return kernelForms(hostname).some((form) => form === address || address.endsWith(`${MAPPED}${form}`));
}

/** An IPv4 address within an IPv6 one, ::ffff:a.b.c.d, as the kernel writes its third word. */
const MAPPED = "FFFF0000";

/** The kernel's spelling of an address; IPv6 ones are compared only where they are loopback, others conservatively by port. */
function kernelForms(hostname: string): readonly string[] {
  if (hostname === "localhost") return [LOOPBACK, LOOPBACK6];
  if (hostname === "::1") return [LOOPBACK6];
  const octets = hostname.split(".").map(Number);
  return octets.length === 4 ? [octets.toReversed().map((octet) => octet.toString(16).padStart(2, "0").toUpperCase()).join("")] : [];
}

const LOOPBACK = "0100007F";
const LOOPBACK6 = "00000000000000000000000001000000";

/** Inodes behind a process's open files; undefined when this user may not look. */
function openInodes(files: FileSystem, directory: string): ReadonlySet<number> | undefined {
  const names = files.list(directory);
  if (!names.ok) return undefined;
  const statuses = names.value.map((name) => files.status(`${directory}/${name}`));
  return new Set(statuses.flatMap((status) => (status.ok ? [status.value.inode] : [])));
}
