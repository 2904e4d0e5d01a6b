import { dlopen, FFIType, ptr } from "bun:ffi";
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../src/ports/log.ts";
import { connectNotifier } from "../../src/runtime/notify.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** A service manager's end of the socket, as far as a test needs it. */
const libc = dlopen("libc.so.6", {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
}).symbols;
const MSG_DONTWAIT = 0x40;

const opened: (() => void)[] = [];
afterEach(() => {
  for (const close of opened.splice(0)) close();
});

function manager(address: string) {
  const fd = libc.socket(1, 2, 0);
  const name = Buffer.from(address.startsWith("@") ? `\0${address.slice(1)}` : `${address}\0`);
  const bytes = Buffer.concat([Buffer.from([1, 0]), name]);
  expect(libc.bind(fd, ptr(bytes), bytes.length)).toBe(0);
  opened.push(() => libc.close(fd));
  const receive = (): string | undefined => {
    const buffer = Buffer.alloc(4_096);
    const size = Number(libc.recv(fd, ptr(buffer), buffer.length, MSG_DONTWAIT));
    return size < 0 ? undefined : buffer.toString("utf8", 0, size);
  };
  return { receive };
}

function recordingLog(): Log & { readonly warnings: string[] } {
  const warnings: string[] = [];
  const ignore = (): void => undefined;
  return { warnings, debug: ignore, info: ignore, error: ignore, warn: (message) => void warnings.push(message) };
}

function connected(address: string, log: Log = recordingLog()) {
  const notifier = connectNotifier({ NOTIFY_SOCKET: address }, 1, log);
  opened.push(() => notifier.close());
  return notifier;
}

describe("telling the service manager", () => {
  const addresses = [
    { title: "a path", address: () => join(temporaryDirectory(), "notify") },
    { title: "an abstract name", address: () => `@steward-test-${process.pid}-${Math.random().toString(36).slice(2)}` },
  ];
  for (const { title, address } of addresses) {
    test(`works over ${title}, one datagram a call, in order`, () => {
      const at = address();
      const { receive } = manager(at);
      const notifier = connected(at);
      expect(notifier.isConnected).toBe(true);
      notifier.ready();
      notifier.watchdog();
      notifier.status("12 guests in sync");
      notifier.stopping();
      expect([receive(), receive(), receive(), receive(), receive()]).toEqual(["READY=1", "WATCHDOG=1", "STATUS=12 guests in sync", "STOPPING=1", undefined]);
    });
  }

  test("a reload carries the system's monotonic time, not the process's", () => {
    const at = join(temporaryDirectory(), "notify");
    const { receive } = manager(at);
    connected(at).reloading();
    const micros = Number(/^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(receive() ?? "")?.[1]);
    const uptimeSeconds = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
    // Uptime also counts time asleep, so it may be ahead, never behind.
    expect(micros / 1e6).toBeGreaterThan(uptimeSeconds - 3_600);
    expect(micros / 1e6).toBeLessThanOrEqual(uptimeSeconds + 1);
  });

  test("a status cannot smuggle in another assignment, and is bounded", () => {
    const at = join(temporaryDirectory(), "notify");
    const { receive } = manager(at);
    const notifier = connected(at);
    notifier.status("a\nSTOPPING=1\r\nb");
    notifier.status("x".repeat(10_000));
    expect(receive()).toBe("STATUS=a STOPPING=1 b");
    expect(receive()?.length).toBe(507);
  });

  test("after close nothing is sent", () => {
    const at = join(temporaryDirectory(), "notify");
    const { receive } = manager(at);
    const notifier = connected(at);
    notifier.close();
    notifier.ready();
    expect([notifier.isConnected, receive()]).toEqual([false, undefined]);
  });
});

describe("without a manager", () => {
  for (const socket of [undefined, ""]) {
    test(`NOTIFY_SOCKET ${socket === undefined ? "unset" : "empty"}: every call does nothing, quietly`, () => {
      const log = recordingLog();
      const notifier = connectNotifier({ NOTIFY_SOCKET: socket }, 1, log);
      notifier.ready();
      notifier.reloading();
      notifier.status("x");
      notifier.stopping();
      notifier.watchdog();
      notifier.close();
      expect([notifier.isConnected, log.warnings]).toEqual([false, []]);
    });
  }

  for (const address of ["vsock:2:1234", "relative/path", `/${"x".repeat(107)}`]) {
    test(`${address.slice(0, 20)} is no address: said once, then ignored`, () => {
      const log = recordingLog();
      const notifier = connected(address, log);
      notifier.ready();
      expect([notifier.isConnected, log.warnings.length]).toEqual([false, 1]);
    });
  }

  test("a socket that nobody reads from is complained about once", () => {
    const log = recordingLog();
    const notifier = connected(join(temporaryDirectory(), "gone"), log);
    notifier.ready();
    notifier.watchdog();
    expect(log.warnings).toEqual(["the service manager did not take a notification"]);
  });
});

describe("the watchdog", () => {
  const cases = [
    [{ WATCHDOG_USEC: "30000000" }, 30_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "42" }, 30_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "43" }, undefined],
    [{ WATCHDOG_USEC: "0" }, undefined],
    [{ WATCHDOG_USEC: "soon" }, undefined],
    [{ WATCHDOG_PID: "42" }, undefined],
    [{}, undefined],
  ] as const;
  for (const [environment, expected] of cases) {
    test(`${JSON.stringify(environment)} asks process 42 for ${expected ?? "nothing"}`, () => {
      expect(connectNotifier(environment, 42, recordingLog()).watchdogIntervalMs).toBe(expected);
    });
  }
});
