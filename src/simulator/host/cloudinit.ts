import { hasCloudinitDrive, type GuestConfigFile } from "./config-file.ts";
import type { Guest } from "./guest.ts";
import type { Host } from "./host.ts";
import { splitList, compareText, isTrue } from "./perl.ts";
import type { Row } from "./status.ts";

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

/** What GET /cloudinit goes through; changed NIC addresses and names are not among them, on a real host neither. */
const LISTED = ["cicustom", "cipassword", "citype", "ciuser", "ciupgrade", "nameserver", "searchdomain", "sshkeys"];
const HIDDEN = "**********";

/** GET /cloudinit, quirks and all: a value of 0 is called deleted, and of a changed `ipconfigN` nothing is said (docs/proxmox.md row 75). */
export function readCloudinit(host: Host, guest: Guest): readonly Row[] {
  const { main, special } = guest.view();
  const recorded = new Map(special.get("cloudinit") ?? []);
  const addedText = recorded.get("added") ?? "";
  recorded.delete("added");
  const shown = (key: string, value: string | null | undefined): string | null => (key === "cipassword" ? HIDDEN : (value ?? null));
  const added = splitList(addedText).map((key): Row => ({ key, pending: shown(key, main.get(key)) }));
  const there = LISTED.filter((key) => isTrue(main.get(key)) && !addedText.includes(key)).map((key): Row => {
    const before = recorded.get(key);
    return isTrue(before) ? { key, value: shown(key, before), pending: shown(key, main.get(key)) } : { key, value: shown(key, main.get(key)) };
  });
  const gone = [...recorded.keys()].filter((key) => !isTrue(main.get(key))).map((key): Row => ({ key, delete: 1 }));
  return [...added, ...host.shuffled(there), ...host.shuffled(gone)];
}

/** Writes the drive anew, if there is one: from then on it shows what is configured. */
export function regenerateDrive(host: Host, guest: Guest): void {
  const file = guest.load();
  if (!hasCloudinitDrive(file.main) || (file.special.get("cloudinit")?.size ?? 0) === 0) return;
  file.special.delete("cloudinit");
  host.writeConfig(guest, file);
}
