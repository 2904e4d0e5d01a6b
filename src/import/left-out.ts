import { isKeyName } from "../desired/model.ts";
import { allowedKey } from "../gate/allow-list.ts";
import type { GuestKind } from "../guest/key.ts";
import type { RawValue } from "../guest/observed.ts";
import { isCatalogued } from "../normalize/registry.ts";
import { isSecretKey, isServerOwned } from "../plan/keys.ts";
import { isVolumeKey } from "../plan/volumes.ts";

/** Why a key that a guest has is not declared. */
export const LEFT_OUT_REASONS = [
  "may_hold_secrets", // cipassword, env, free command lines, and keys that nobody here knows
  "server_owned", // Proxmox writes it
  "identity", // tells this guest from every other; declaring it would be copied along
  "holds_data", // volumes: never changed by this version
  "not_on_allow_list", // never sent by this version
  "not_writable", // no declaration of it would be the same again
] as const;
export type LeftOutReason = (typeof LEFT_OUT_REASONS)[number];

export interface LeftOutKey {
  readonly key: string;
  readonly reason: LeftOutReason;
  /** Never to be shown for "may_hold_secrets". */
  readonly found: RawValue;
}

const IDENTITY_KEY = "smbios1";

/** Free text handed to a program's command line, where passwords stand often enough. */
const COMMAND_LINES: ReadonlySet<string> = new Set(["args", "entrypoint"]);

/** True for keys whose values are never written down, in no comment either. */
export function mayHoldSecrets(kind: GuestKind, key: string): boolean {
  return isSecretKey(key) || COMMAND_LINES.has(key) || !isCatalogued(kind, key);
}

/** Undefined: it is declared. */
export function reasonToLeaveOut(kind: GuestKind, key: string): LeftOutReason | undefined {
  if (isServerOwned(key)) return "server_owned";
  if (mayHoldSecrets(kind, key)) return "may_hold_secrets";
  if (key === IDENTITY_KEY) return "identity";
  if (isVolumeKey(kind, key)) return "holds_data";
  if (!isKeyName(key) || allowedKey(kind, key) === undefined) return "not_on_allow_list";
  return undefined;
}

/** One sentence a reason, for comments. */
export const LEFT_OUT_HEADINGS: Readonly<Record<LeftOutReason, string>> = {
  may_hold_secrets: "May hold secrets, so the values stay in Proxmox",
  server_owned: "Written by Proxmox itself",
  identity: "Identity of this very guest",
  holds_data: "Volumes, which this version compares and never changes; as found",
  not_on_allow_list: "Keys that this version never sends; as found",
  not_writable: "Values that no declaration gives back as they are",
};

/** Whether the found value is worth a comment, and harmless in one. */
export function isValueShown(reason: LeftOutReason): boolean {
  return reason === "holds_data" || reason === "not_on_allow_list";
}
