import type { GuestConfigFile } from "./config-file.ts";
import { splitList, compareText } from "./perl.ts";

/** Keys that end up on the cloud-init drive; while the guest runs, what the drive still shows is kept aside. */
const ON_THE_DRIVE = /^(?:cicustom|cipassword|citype|ciupgrade|ciuser|nameserver|searchdomain|sshkeys|ipconfig\d+|net\d+|name)$/;

/** Whether a key belongs to cloud-init alone; such keys are applied to a running guest at once. */
export function isCloudinitKey(key: string): boolean {
  return ON_THE_DRIVE.test(key) && !/^(?:net\d+|name)$/.test(key);
}

/** Records in [special:cloudinit] that `key` went from `before` to `after` on a running guest. */
export function recordCloudinitChange(file: GuestConfigFile, key: string, before: string | undefined, after: string | undefined): void {
  if (!ON_THE_DRIVE.test(key) || (before === undefined && after === undefined)) return;
  const section = file.special.get("cloudinit") ?? new Map<string, string | null>();
  file.special.set("cloudinit", section);
  const added = new Set(splitList(section.get("added")));
  section.delete("added");
  const recorded = section.get(key);
  if (after === undefined) {
    if (recorded === undefined && !added.delete(key) && before !== undefined) section.set(key, before);
  } else if (recorded !== undefined) {
    if (after === recorded) section.delete(key);
  } else if (!added.has(key)) {
    if (before === undefined) added.add(key);
    else section.set(key, before);
  }
  if (added.size > 0) section.set("added", [...added].sort(compareText).join(","));
}
