import { dlopen, FFIType, ptr } from "bun:ffi";
import { fault, ok, type Result } from "../ports/errors.ts";

/** Linux's numbers (bits/socket.h, asm-generic/socket.h, bits/time.h); the same on x86-64 and arm64. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const SOL_SOCKET = 1;
const SO_SNDTIMEO = 21;
const CLOCK_MONOTONIC = 1;

const FAMILY_BYTES = 2;
/** A receiver that does not empty its queue must not hold the agent up for longer than this. */
const SEND_TIMEOUT_SECONDS = 1n;

/** glibc first, then musl's name for the same library. */
const C_LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"] as const;

/** Sends datagrams to one unix socket. */
export interface DatagramSender {
  /** Whether the receiver took it. */
  send(text: string): boolean;
  /** CLOCK_MONOTONIC in microseconds since boot, which the process's own monotonic clock is not. */
  monotonicMicros(): bigint;
  close(): void;
}

/**
 * Opens a sender to `address`: a path, or a name in the abstract namespace after "@". Through the C
 * library, because neither Node's nor Bun's datagram sockets speak the unix family.
 */
export function openDatagramSender(address: string): Result<DatagramSender> {
  const library = openCLibrary();
  if (library === undefined) return fault("file.other", `expected one of ${C_LIBRARIES.join(", ")} to be loadable, found none`);
  const { symbols } = library;
  const fd = symbols.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fault("file.other", "expected a unix datagram socket, the system refused to open one");
  const timeout = new BigInt64Array([SEND_TIMEOUT_SECONDS, 0n]);
  symbols.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, ptr(timeout), timeout.byteLength);
  const target = socketAddress(address);
  return ok({
    send: (text) => {
      const bytes = Buffer.from(text);
      return Number(symbols.sendto(fd, ptr(bytes), bytes.length, MSG_NOSIGNAL, ptr(target), target.length)) === bytes.length;
    },
    monotonicMicros: () => {
      const time = new BigInt64Array(2);
      symbols.clock_gettime(CLOCK_MONOTONIC, ptr(time));
      const [seconds = 0n, nanoseconds = 0n] = time;
      return seconds * 1_000_000n + nanoseconds / 1000n;
    },
    close: () => {
      symbols.close(fd);
      library.close();
    },
  });
}

/** struct sockaddr_un. An abstract name starts with a zero byte and ends with the address's length, a path with a zero byte. */
function socketAddress(address: string): Uint8Array {
  const isAbstract = address.startsWith("@");
  const name = Buffer.from(isAbstract ? `\0${address.slice(1)}` : `${address}\0`);
  const bytes = new Uint8Array(FAMILY_BYTES + name.length);
  new Uint16Array(bytes.buffer, 0, 1)[0] = AF_UNIX;
  bytes.set(name, FAMILY_BYTES);
  return bytes;
}

function openCLibrary(): ReturnType<typeof loadCLibrary> | undefined {
  for (const name of C_LIBRARIES) {
    try {
      return loadCLibrary(name);
    } catch {
      // Not this C library: try the next name.
    }
  }
  return undefined;
}

function loadCLibrary(name: string) {
  return dlopen(name, {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    setsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
    sendto: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i64 },
    clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  });
}
