import type { Log } from "../ports/log.ts";
import { openDatagramSender, type DatagramSender } from "./datagram.ts";

/** Room for `sun_path` (unix(7)), less the byte that ends a path or starts an abstract name. */
const ADDRESS_BYTES_MAX = 107;

/** Longer status texts are cut: systemd shows one line, and a datagram has to fit its socket's buffer. */
const MAX_STATUS_CHARACTERS = 500;

/** Tells the service manager how the agent is (sd_notify(3)); every call does nothing without one. */
export interface Notifier {
  /** Whether somebody listens. */
  readonly isConnected: boolean;
  /** How often `watchdog` must be called at least, as the manager asked for; undefined when it did not. */
  readonly watchdogIntervalMs: number | undefined;
  /** Started, or done reloading. */
  ready(): void;
  /** Starts re-reading the configuration; `ready` ends it (Type=notify-reload). */
  reloading(): void;
  stopping(): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** The agent makes progress. Called from the reconcile loop's own progress, never from a free timer. */
  watchdog(): void;
  close(): void;
}

export interface NotifyEnvironment {
  readonly NOTIFY_SOCKET?: string | undefined;
  readonly WATCHDOG_USEC?: string | undefined;
  readonly WATCHDOG_PID?: string | undefined;
}

/**
 * Connects to the manager that `environment` names. An address that cannot be used is logged once and
 * then treated as none: notifying is a courtesy, and never a reason to fail.
 */
export function connectNotifier(environment: NotifyEnvironment, pid: number, log: Log): Notifier {
  const address = environment.NOTIFY_SOCKET;
  const sender = address === undefined || address === "" ? undefined : openSender(address, log);
  return new SocketNotifier(sender, watchdogIntervalMs(environment, pid), log);
}

function openSender(address: string, log: Log): DatagramSender | undefined {
  const isUnix = address.startsWith("/") || address.startsWith("@");
  if (!isUnix || Buffer.byteLength(address) > ADDRESS_BYTES_MAX) {
    log.warn(`expected NOTIFY_SOCKET to be a path or @name of at most ${ADDRESS_BYTES_MAX} bytes; the service manager will not be told anything`, { address });
    return undefined;
  }
  const sender = openDatagramSender(address);
  if (!sender.ok) log.warn("cannot reach the service manager: it will not be told anything", { error: sender.error });
  return sender.ok ? sender.value : undefined;
}

/** WATCHDOG_USEC counts for the process WATCHDOG_PID names, or for any when it names none (sd_watchdog_enabled(3)). */
function watchdogIntervalMs(environment: NotifyEnvironment, pid: number): number | undefined {
  const { WATCHDOG_USEC: micros = "", WATCHDOG_PID: forPid = "" } = environment;
  if (!/^[1-9]\d*$/.test(micros) || (forPid !== "" && forPid !== String(pid))) return undefined;
  return Number(micros) / 1000;
}

class SocketNotifier implements Notifier {
  readonly watchdogIntervalMs: number | undefined;
  readonly #log: Log;
  #sender: DatagramSender | undefined;
  #hasFailed = false;

  constructor(sender: DatagramSender | undefined, watchdogMs: number | undefined, log: Log) {
    this.#sender = sender;
    this.watchdogIntervalMs = watchdogMs;
    this.#log = log;
  }

  get isConnected(): boolean {
    return this.#sender !== undefined;
  }

  ready(): void {
    this.#send("READY=1");
  }

  reloading(): void {
    if (this.#sender !== undefined) this.#send(`RELOADING=1\nMONOTONIC_USEC=${this.#sender.monotonicMicros()}`);
  }

  stopping(): void {
    this.#send("STOPPING=1");
  }

  status(text: string): void {
    // A line end would start another assignment.
    this.#send(`STATUS=${text.replace(/\p{Cc}+/gu, " ").slice(0, MAX_STATUS_CHARACTERS)}`);
  }

  watchdog(): void {
    this.#send("WATCHDOG=1");
  }

  close(): void {
    this.#sender?.close();
    this.#sender = undefined;
  }

  #send(message: string): void {
    if (this.#sender === undefined || this.#sender.send(message)) return;
    if (!this.#hasFailed) this.#log.warn("the service manager did not take a notification", { notification: message.split("=")[0] });
    this.#hasFailed = true;
  }
}
