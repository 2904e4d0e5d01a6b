import { describe, expect, test } from "bun:test";
import { parseDesiredFile } from "../../src/desired/parse.ts";
import type { GuestKind } from "../../src/guest/key.ts";
import { importGuest } from "../../src/import/import-guest.ts";
import { renderGuests } from "../../src/import/render.ts";
import { HOST_FACTS, observedGuest } from "../support/guests.ts";

/** What stands in a guest's file though Proxmox would not take it: of an older release, or edited by hand. */
const ODD: readonly (readonly [GuestKind, string, string])[] = [
  ["qemu", "ostype", "linux"],
  ["qemu", "keyboard", "xx"],
  ["qemu", "shares", "60000"],
  ["qemu", "name", "under_score"],
  ["qemu", "vga", "std,memory=1024"],
  ["qemu", "agent", "1,freeze=1"],
  ["qemu", "net0", "virtio=BC:24:11:2A:00:01,bridge=vmbr0,vlan=7"],
  ["lxc", "ostype", "slackware"],
  ["lxc", "tty", "9"],
  ["lxc", "net0", "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:2A:00:01,tag=5000"],
];

describe("a value that no file may hold is left out of the file, and named", () => {
  for (const [kind, key, value] of ODD) {
    test(`${kind} ${key}: ${value}`, () => {
      const observed = observedGuest({ kind, running: { cores: 2, [key]: value } });
      const imported = importGuest(observed, HOST_FACTS, { isObserved: false, hasState: true });
      expect(imported.leftOut.map((left) => [left.key, left.reason])).toEqual([[key, "not_writable"]]);
      const { problems, guests } = parseDesiredFile({ name: "guest.yaml", text: renderGuests([imported], HOST_FACTS.node) });
      expect({ problems, config: guests[0]?.config }).toEqual({ problems: [], config: { cores: 2 } });
    });
  }
});
