import type { DeclaredValue } from "../guest/declared.ts";
import type { GuestKey } from "../guest/key.ts";

/**
 * The desired state as the rest of the agent sees it: parsed, checked, and hashed. How it is written
 * in YAML is docs/desired-state.md; desired/schema.ts turns one into the other.
 */

/** A key or sub-key as Proxmox writes them: `net0`, `mbps_rd`, `allow-ksm`. Raw `lxc.` lines are none (docs/proxmox.md row 80). */
export const KEY_NAME = /^[a-z][a-z0-9_-]*$/;

/** Longest name of a key. Proxmox's longest today has 26 characters. */
export const KEY_NAME_LENGTH_MAX = 64;

/** True for a key or sub-key that a file can hold. */
export function isKeyName(name: string): boolean {
  return name.length <= KEY_NAME_LENGTH_MAX && KEY_NAME.test(name);
}

export const DESIRED_MODES = ["enforce", "observe", "ignore"] as const;
export type DesiredMode = (typeof DESIRED_MODES)[number];

export const DESIRED_RUN_STATES = ["running", "stopped", "absent"] as const;
export type DesiredRunState = (typeof DESIRED_RUN_STATES)[number];

/** Where something was declared, for messages. Lines and columns count from 1. */
export interface SourcePosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface DesiredGuest extends GuestKey {
  readonly mode: DesiredMode;
  /** Left out: run state is not managed. */
  readonly state: DesiredRunState | undefined;
  /** Only keys in here are managed. */
  readonly config: Readonly<Record<string, DeclaredValue>>;
  readonly position: SourcePosition;
}

/** A vmid declared more than once: managed by nobody until that is settled. */
export interface DesiredConflict {
  readonly vmid: number;
  readonly positions: readonly SourcePosition[];
}

/** One whole, checked desired state. */
export interface DesiredState {
  readonly guests: ReadonlyMap<number, DesiredGuest>;
  readonly conflicts: readonly DesiredConflict[];
  /** Hash of the normalized set: the same for the same meaning, however it is written. */
  readonly revision: string;
}

/** What a source tells on every load: the last good state and, when the newest load failed, why. */
export interface DesiredReport {
  readonly state: DesiredState | undefined;
  readonly problems: readonly DesiredProblem[];
}

export interface DesiredProblem {
  readonly code: "desired.unreadable" | "desired.syntax" | "desired.schema" | "desired.reserved" | "desired.empty" | "desired.too_large";
  /** Complete: "file:line:col: expected …, found …; do …". */
  readonly message: string;
}

/** A place desired state comes from. Never throws; a bad newest version keeps the last good one. */
export interface DesiredSource {
  /** "empty", "static" or "directory". */
  readonly kind: string;
  /** Reads everything now and reports. */
  load(): Promise<DesiredReport>;
  /** Calls `changed` when something may have changed (a hint: the agent then calls `load`). */
  watch(changed: () => void): void;
  close(): void;
}
