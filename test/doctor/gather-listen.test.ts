import { describe, expect, test } from "bun:test";
import { gatherListen, listeners } from "../../src/doctor/gather-listen.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";

const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

/** A line of /proc/net/tcp as Linux writes it. */
function line(address: string, port: number, inode: number, state = "0A"): string {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return `   0: ${address}:${hex} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0000000000000000 100 0 0 10 0\n`;
}

const EVERYWHERE = "00000000";
const EVERYWHERE6 = "0".repeat(32);
const LOOPBACK = "0100007F";
const OTHER = "0A0200C0";

function look(tables: { tcp?: string; tcp6?: string }, options: { hostname?: string; port?: number; agentPid?: number } = {}) {
  const files = new Map(Object.entries(tables).map(([name, text]) => [`/proc/net/${name}`, new TextEncoder().encode(HEAD + text)]));
  const disk = new MemoryFileSystem({ directories: ["/proc", "/proc/net"], files });
  return gatherListen({ files: disk, procDir: "/proc", hostname: "::", port: 9100, ownAddresses: ["127.0.0.1", "192.0.2.10"], agentPid: undefined, ...options }).port;
}

describe("who has the port", () => {
  const cases: readonly (readonly [string, Parameters<typeof look>, string])[] = [
    ["nobody", [{ tcp: "", tcp6: "" }], "free"],
    ["somebody on every address", [{ tcp: line(EVERYWHERE, 9100, 5) }], "taken"],
    ["somebody on every IPv6 address", [{ tcp6: line(EVERYWHERE6, 9100, 5) }, { hostname: "127.0.0.1" }], "taken"],
    ["somebody on the same address", [{ tcp: line(LOOPBACK, 9100, 5) }, { hostname: "127.0.0.1" }], "taken"],
    ["somebody on one address, wanted is every one", [{ tcp: line(OTHER, 9100, 5) }], "taken"],
    ["somebody on another address", [{ tcp: line(OTHER, 9100, 5) }, { hostname: "127.0.0.1" }], "free"],
    ["somebody on the mapped form of the address", [{ tcp6: line(`0000000000000000FFFF0000${LOOPBACK}`, 9100, 5) }, { hostname: "127.0.0.1" }], "taken"],
    ["somebody by its name", [{ tcp: line(LOOPBACK, 9100, 5) }, { hostname: "localhost" }], "taken"],
    ["somebody on IPv6's loopback", [{ tcp6: line("00000000000000000000000001000000", 9100, 5) }, { hostname: "::1" }], "taken"],
    ["somebody on another port", [{ tcp: line(EVERYWHERE, 9101, 5) }], "free"],
    ["a connection from this port, no listener", [{ tcp: line(LOOPBACK, 9100, 5, "01") }], "free"],
    ["nobody knows: /proc is not there", [{}], "unknown"],
    ["any port", [{}, { port: 0 }], "any"],
    ["an agent whose open files are not for this user", [{ tcp: line(EVERYWHERE, 9100, 5) }, { agentPid: 77 }], "taken"],
  ];
  test.each(cases)("%s", (_, [tables, options], state) => {
    expect(look(tables, options).state).toBe(state as ReturnType<typeof look>["state"]);
  });

  test("what may be the agent's is not called another program's", () => {
    expect(look({ tcp: line(EVERYWHERE, 9100, 5) }, { agentPid: 77 })).toEqual({ state: "taken", mayBeOurs: true });
    expect(look({ tcp: line(EVERYWHERE, 9100, 5) })).toEqual({ state: "taken", mayBeOurs: false });
  });
});

describe("on this machine", () => {
  const real = { files: createFileSystem(), procDir: "/proc", hostname: "127.0.0.1", ownAddresses: ["127.0.0.1"] };

  test("a port this process listens on is its own, and taken for another", () => {
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
    try {
      expect(gatherListen({ ...real, port: server.port, agentPid: process.pid }).port).toEqual({ state: "ours" });
      expect(gatherListen({ ...real, port: server.port, agentPid: undefined }).port).toEqual({ state: "taken", mayBeOurs: false });
    } finally {
      server.stop(true);
    }
  });

  test("addresses: one of the host's, a wildcard, and one that is not", () => {
    const isOwn = (hostname: string): boolean => gatherListen({ ...real, hostname, port: 0, agentPid: undefined }).isOwnAddress;
    expect([isOwn("127.0.0.1"), isOwn("::"), isOwn("0.0.0.0"), isOwn("192.0.2.77")]).toEqual([true, true, true, false]);
  });

  test("the first port for everybody is Linux's own setting, else 1024", () => {
    expect(gatherListen({ ...real, port: 0, agentPid: undefined }).firstFreePort).toBe(Number(new TextDecoder().decode(readProc("sys/net/ipv4/ip_unprivileged_port_start"))));
    expect(gatherListen({ ...real, files: new MemoryFileSystem(), port: 0, agentPid: undefined }).firstFreePort).toBe(1_024);
  });

  function readProc(path: string): Uint8Array {
    const read = real.files.readFile(`/proc/${path}`);
    if (!read.ok) throw new Error(read.error.message);
    return read.value;
  }
});

test("a table that is cut off or strange gives no listeners and no error", () => {
  for (const text of ["", HEAD, `${HEAD}   0: 0100`, "x\ny\n", line(LOOPBACK, 9100, 5).slice(0, 30)]) expect(listeners(text)).toEqual([]);
});
