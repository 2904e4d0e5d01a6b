import { dlopen, FFIType, ptr } from "bun:ffi";
import { C_LIBRARIES } from "./ffi.ts";

/**
 * The kernel's asynchronous queue (io_setup(2), io_submit(2), io_getevents(2)), as far as one
 * fdatasync at a time needs it. No library wraps these calls everywhere, so they are made by number.
 */

/** By Node's name of the architecture; others do without. */
const CALL_NUMBERS: Readonly<Record<string, { readonly setup: number; readonly getEvents: number; readonly submit: number }>> = {
  x64: { setup: 206, getEvents: 208, submit: 209 },
  arm64: { setup: 0, submit: 2, getEvents: 4 },
};

/** linux/aio_abi.h: struct iocb and struct io_event. */
const REQUEST_BYTES = 64;
const EVENT_BYTES = 32;
const REQUEST = { tag: 0, command: 16, descriptor: 20, flags: 56, eventCounter: 60 } as const;
const EVENT_RESULT = 16;
const COMMAND_DATA_SYNC = 3;
const FLAG_EVENT_COUNTER = 1;
const CLOSE_ON_EXEC = 0o2000000;
const NANOSECONDS_PER_MS = 1_000_000;
const TAKEN_COUNT = 1;

function load(name: string) {
  return dlopen(name, {
    eventfd: { args: [FFIType.u32, FFIType.i32], returns: FFIType.i32 },
    // "fast": numbers instead of a BigInt for every argument; addresses and counts fit into them.
    syscall: { args: [FFIType.i64_fast, FFIType.i64_fast, FFIType.i64_fast, FFIType.i64_fast, FFIType.i64_fast, FFIType.i64_fast], returns: FFIType.i64_fast },
    sched_yield: { args: [], returns: FFIType.i32 },
    __errno_location: { args: [], returns: FFIType.ptr },
  }).symbols;
}

type Library = ReturnType<typeof load>;

function loadFirst(): Library | undefined {
  for (const name of C_LIBRARIES) {
    try {
      return load(name);
    } catch {
      // Not this C library: the next one is tried.
    }
  }
  return undefined;
}

/**
 * A queue for one sync at a time. The buffers are fields because the kernel knows them by address:
 * whatever nobody referred to any more would be collected under it.
 */
export class KernelQueue {
  /** A descriptor to read from: it has a count for every sync that ended. */
  readonly eventCounter: number;
  readonly #library: Library;
  readonly #numbers: { readonly getEvents: number; readonly submit: number };
  readonly #id: number;
  readonly #request = new DataView(new ArrayBuffer(REQUEST_BYTES));
  readonly #requests: BigUint64Array;
  readonly #event = new DataView(new ArrayBuffer(EVENT_BYTES));
  /** struct timespec in halves, the lower first (little endian): less than a second is in the third. */
  readonly #timeout = new Int32Array(4);
  readonly #addresses: { readonly requests: number; readonly event: number; readonly timeout: number };

  private constructor(library: Library, numbers: { readonly getEvents: number; readonly submit: number }, id: number, eventCounter: number) {
    this.#library = library;
    this.#numbers = numbers;
    this.#id = id;
    this.eventCounter = eventCounter;
    this.#requests = new BigUint64Array([BigInt(ptr(this.#request))]);
    this.#request.setBigUint64(REQUEST.tag, 1n, true);
    this.#request.setUint16(REQUEST.command, COMMAND_DATA_SYNC, true);
    this.#request.setUint32(REQUEST.flags, FLAG_EVENT_COUNTER, true);
    this.#request.setUint32(REQUEST.eventCounter, eventCounter, true);
    this.#addresses = { requests: ptr(this.#requests), event: ptr(this.#event), timeout: ptr(this.#timeout) };
  }

  /** Undefined where the architecture, the C library, the kernel or a sandbox has no such thing. */
  static open(): KernelQueue | undefined {
    const numbers = CALL_NUMBERS[process.arch];
    const library = numbers === undefined ? undefined : loadFirst();
    if (numbers === undefined || library === undefined) return undefined;
    const id = new BigUint64Array(1);
    if (Number(library.syscall(numbers.setup, 1, ptr(id), 0, 0, 0)) !== 0) return undefined;
    const eventCounter = library.eventfd(0, CLOSE_ON_EXEC);
    // An address of this process: exact as a number.
    return eventCounter === -1 ? undefined : new KernelQueue(library, numbers, Number(id[0]), eventCounter);
  }

  /** Asks for an fdatasync; false: not taken (a file system that has none, a full queue), nothing was begun. */
  submitDataSync(descriptor: number): boolean {
    this.#request.setUint32(REQUEST.descriptor, descriptor, true);
    return Number(this.#library.syscall(this.#numbers.submit, this.#id, 1, this.#addresses.requests, 0, 0)) === TAKEN_COUNT;
  }

  /** Lets whoever waits for this processor have it first: the kernel's own thread for the sync, above all. */
  yieldProcessor(): void {
    this.#library.sched_yield();
  }

  /** Waits up to `timeoutMs` (below 1,000) for the sync that was asked for: 0 or its error number; undefined: still under way. */
  take(timeoutMs: number): number | undefined {
    this.#timeout[2] = Math.round(timeoutMs * NANOSECONDS_PER_MS);
    const count = this.#library.syscall(this.#numbers.getEvents, this.#id, 1, 1, this.#addresses.event, this.#addresses.timeout);
    return Number(count) === TAKEN_COUNT ? Math.abs(this.#event.getInt32(EVENT_RESULT, true)) : undefined;
  }
}
