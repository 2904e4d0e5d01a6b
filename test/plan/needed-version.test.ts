import { describe, expect, test } from "bun:test";
import { diffConfig } from "../../src/plan/field-diff.ts";
import { desiredGuest, HOST_FACTS, observedGuest } from "../support/guests.ts";
import type { DeclaredMap, DeclaredValue } from "../../src/guest/declared.ts";
import type { GuestKind } from "../../src/guest/key.ts";
import type { RawConfig } from "../../src/guest/observed.ts";

const OLD = { major: 8, minor: 4, patch: 14 };
const NEW = { major: 9, minor: 2, patch: 0 };

function planned(kind: GuestKind, config: Readonly<Record<string, DeclaredValue>>, running: RawConfig, pveVersion: typeof OLD) {
  const { changes, deferred } = diffConfig(desiredGuest({ kind, config }), observedGuest({ kind, running }), { ...HOST_FACTS, pveVersion });
  return { deferred: deferred.map(({ key, reason, message }) => [key, reason, message]), sent: changes.map(({ key }) => key) };
}

describe("what the host's release does not have", () => {
  test("a key is deferred with the release it needs, and the others go on", () => {
    const { deferred, sent } = planned("qemu", { "allow-ksm": false, cores: 2 }, { cores: 1 }, OLD);
    expect(deferred).toEqual([["allow-ksm", "invalid_value", "allow-ksm: expected Proxmox VE 9.1 or later, found 8.4; leave it out on this host"]]);
    expect(sent).toEqual(["cores"]);
  });

  for (const agent of ["1,freeze-fs=0", { enabled: true, "freeze-fs": false } as DeclaredMap]) {
    test(`a sub-key likewise: ${JSON.stringify(agent)}`, () => {
      expect(planned("qemu", { agent }, {}, OLD).deferred).toEqual([["agent", "invalid_value", "agent: freeze-fs: expected Proxmox VE 9.1 or later, found 8.4; leave it out on this host"]]);
    });
  }

  test("one that is there already is had, whatever the release says", () => {
    expect(planned("qemu", { agent: { enabled: true, "freeze-fs": false } }, { agent: "1,freeze-fs=1" }, OLD)).toEqual({ deferred: [], sent: ["agent"] });
  });

  test("one that shall be absent needs no release", () => {
    expect(planned("qemu", { "allow-ksm": null, agent: { enabled: true, "freeze-fs": null } }, {}, OLD)).toEqual({ deferred: [], sent: ["agent"] });
  });

  test("on a newer host it is like any other", () => {
    expect(planned("qemu", { agent: "1,freeze-fs=0" }, {}, NEW)).toEqual({ deferred: [], sent: ["agent"] });
  });
});
