import type { ApprovedAction } from "../gate/types.ts";
import type { FieldChange } from "../plan/types.ts";
import type { ProxmoxFault } from "../ports/proxmox-api.ts";

/** A write of config keys that the gate let through. */
export type ConfigAction = Extract<ApprovedAction, { readonly type: "set_config" }>;

/** What Proxmox said about single keys of a refused write: key → its own words. */
export type RefusedKeys = ReadonlyMap<string, string>;

/**
 * May this answer be about single keys of the write? Locks, digests, quorum and the like are about the
 * guest or the host, and a lost answer says nothing. A request too large for Proxmox is about its keys, too.
 */
export function isAboutKeys(fault: ProxmoxFault): boolean {
  return fault.code === "proxmox.bad_parameter" || fault.code === "proxmox.forbidden" || (fault.code === "proxmox.other" && fault.delivery === "answered");
}

/** Refusals that a value causes, not what is around it: the same value is refused again until something changes. */
export function isAboutValues(fault: ProxmoxFault): boolean {
  return fault.code === "proxmox.bad_parameter";
}

/** The keys that the answer names, among those that were sent; empty when it names none of them. */
export function namedKeys(fault: ProxmoxFault, changes: readonly FieldChange[]): RefusedKeys {
  const sent = new Set(changes.map((change) => change.key));
  if (fault.code !== "proxmox.bad_parameter") return namedInText(fault.message, sent);
  const named = new Map<string, string>();
  for (const [name, problem] of Object.entries(fault.parameters)) {
    // "net0.rate" is about net0; what is wrong with "delete" names its key in the text.
    const key = sent.has(name) ? name : (name.split(".")[0] ?? name);
    if (sent.has(key)) named.set(key, problem);
    else if (name === "delete") for (const [found] of namedInText(problem, sent)) named.set(found, problem);
  }
  return named;
}

/** Texts of a 500 that quote something else than the key they are about: `invalid bootorder: device 'net0' does not exist'`. */
const KEY_BY_TEXT: readonly { readonly pattern: RegExp; readonly key: string }[] = [{ pattern: /invalid bootorder/, key: "boot" }];

/** Texts that quote the one key they are about (Proxmox 9.2: `only root can set 'args' config`, `unable to delete required option 'memory'`). */
const QUOTES_KEY = /(?:only root can \w+|required option|unknown option|option|parameter|property) '-?([a-z][\w-]*?)'/gi;

function namedInText(text: string, sent: ReadonlySet<string>): RefusedKeys {
  const known = KEY_BY_TEXT.find(({ pattern }) => pattern.test(text))?.key;
  const quoted = known === undefined ? [...text.matchAll(QUOTES_KEY)].map((match) => match[1] ?? "") : [known];
  return new Map(quoted.filter((key) => sent.has(key)).map((key) => [key, text]));
}
