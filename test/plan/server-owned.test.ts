import { describe, expect, test } from "bun:test";
import type { DeclaredValue } from "../../src/guest/declared.ts";
import { diffConfig } from "../../src/plan/field-diff.ts";
import { desiredGuest, HOST_FACTS, observedGuest } from "../support/guests.ts";

const UUID = "11111111-2222-4333-8444-5555555555ab";

function deferred(declared: DeclaredValue, found: string | undefined): readonly string[] {
  const diff = diffConfig(desiredGuest({ config: { vmgenid: declared } }), observedGuest({ running: found === undefined ? {} : { vmgenid: found } }), HOST_FACTS);
  expect(diff.changes).toEqual([]);
  return diff.deferred.map(({ reason }) => reason);
}

describe("a key that only Proxmox writes (row 60)", () => {
  for (const [declared, found] of [["1", UUID], [1, UUID], [UUID.toUpperCase(), UUID], [UUID, UUID], [null, undefined]] as const) {
    test(`declared ${String(declared)}, found ${found === undefined ? "nothing" : "a UUID"}: nothing to say`, () => {
      expect(deferred(declared, found)).toEqual([]);
    });
  }

  for (const [declared, found] of [["1", undefined], ["99999999-2222-4333-8444-5555555555ab", UUID], [null, UUID]] as const) {
    test(`declared ${String(declared)}, found ${found === undefined ? "nothing" : "another"}: deferred, never sent`, () => {
      expect(deferred(declared, found)).toEqual(["server_owned"]);
    });
  }
});
