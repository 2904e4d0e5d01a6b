/**
 * Operating errors are values, not exceptions: a stable code from the one list below, a message a
 * person can act on (what was expected, what was found, where, what to do), and what caused it.
 * Exceptions are for programmer errors only. Adding a code is a change of interface: the journal,
 * the CLI and the metrics print these words.
 */

/** Every code an operating error may carry, by the room that makes it. */
export const ERROR_CODES = [
  // config/
  "config.unreadable",
  "config.syntax",
  "config.schema",
  "config.insecure",
  // desired/
  "desired.unreadable",
  "desired.syntax",
  "desired.schema",
  "desired.reserved",
  "desired.empty",
  "desired.too_large",
  // proxmox/ (ports/proxmox-api.ts says what each means for a mutation)
  "proxmox.locked",
  "proxmox.lock_timeout",
  "proxmox.digest_conflict",
  "proxmox.guest_missing",
  "proxmox.forbidden",
  "proxmox.bad_parameter",
  "proxmox.unauthenticated",
  "proxmox.untrusted",
  "proxmox.unreachable",
  "proxmox.no_answer",
  "proxmox.transient",
  "proxmox.unexpected_answer",
  "proxmox.other",
  // normalize/ and plan/
  "normalize.invalid",
  // lanes/
  "lane.closed",
  "lane.full",
  // journal/
  "journal.missing",
  "journal.unwritable",
  "journal.insecure",
  "journal.no_space",
  "journal.poisoned",
  "journal.corrupt",
  "journal.locked",
  "journal.closed",
  "journal.too_large",
  "journal.illegal_transition",
  "journal.unknown_operation",
  "journal.queue_full",
  "journal.key_used",
  // runtime/ (file system)
  "file.not_found",
  "file.not_directory",
  "file.exists",
  "file.denied",
  "file.no_space",
  "file.read_only",
  "file.interrupted",
  "file.io",
  "file.other",
  // reconcile/, control/, commands/
  "reconcile.not_ready",
  "reconcile.held",
  "control.unreachable",
  "control.refused",
  "server.port_taken",
  "server.cannot_listen",
  "command.usage",
  "command.interrupted",
  // install/
  "install.failed",
  // doctor/
  "doctor.not_gathered",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** An operating error. `cause` is kept for the log, never shown to peers that are not loopback. */
export interface Fault {
  readonly code: ErrorCode;
  readonly message: string;
  readonly cause?: unknown;
}

/** What an operation that may fail for operating reasons gives back. */
export type Result<T, E extends Fault = Fault> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

/** A success holding `value`. */
export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

/** A failure holding `error`. */
export function fail<E extends Fault>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

/** A failure from a code and a message. */
export function fault(code: ErrorCode, message: string, cause?: unknown): { readonly ok: false; readonly error: Fault } {
  return fail(cause === undefined ? { code, message } : { code, message, cause });
}

/** For the default branch of a total switch: the compiler proves it is never reached. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
