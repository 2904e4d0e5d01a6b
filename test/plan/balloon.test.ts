import { describe, expect, test } from "bun:test";
import type { DeclaredValue } from "../../src/guest/declared.ts";
import type { PendingChange, RawConfig } from "../../src/guest/observed.ts";
import { planGuest } from "../../src/plan/plan-guest.ts";
import type { GuestPlan } from "../../src/plan/types.ts";
import { desiredGuest, HOST_FACTS, observedGuest } from "../support/guests.ts";

/** Found by the laws (test/laws): Proxmox refuses a whole write for a balloon that is larger than the memory. */

function planned(running: RawConfig, config: Readonly<Record<string, DeclaredValue>>, pending: readonly PendingChange[] = []): GuestPlan {
  return planGuest({ desired: desiredGuest({ config }), observed: observedGuest({ running, pending, runState: "running" }), situation: {}, facts: HOST_FACTS });
}

/** The keys of each write, and what is deferred. */
function shown({ actions, deferred }: GuestPlan): unknown {
  return [actions.map((action) => (action.type === "set_config" ? action.changes.map(({ key }) => key) : [])), deferred.map(({ key }) => key)];
}

describe("row 57: a balloon larger than the memory", () => {
  const cases: readonly (readonly [string, RawConfig, Readonly<Record<string, DeclaredValue>>, readonly (readonly string[])[], readonly string[]])[] = [
    ["declared over less memory is deferred, other keys go on", { memory: "512" }, { balloon: 1024, onboot: true }, [["onboot"]], ["balloon"]],
    ["declared with more memory goes with it", { memory: "512" }, { balloon: 1024, memory: 2048 }, [["balloon", "memory"]], []],
    ["that is there holds back less memory", { memory: "2048", balloon: 1024 }, { memory: 512 }, [], ["memory"]],
    ["that is there and declared smaller goes with less memory", { memory: "2048", balloon: 1024 }, { memory: 512, balloon: 256 }, [["balloon", "memory"]], []],
    ["declared too large over less memory holds back both", { memory: "2048", balloon: 1024 }, { memory: 512, balloon: 768 }, [], ["balloon", "memory"]],
    ["declared too large holds back only itself where the memory fits what is there", { memory: "2048", balloon: 256 }, { memory: 512, balloon: 768 }, [["memory"]], ["balloon"]],
    ["is deleted before less memory is sent", { memory: "2048", balloon: 1024 }, { memory: 512, balloon: null }, [["balloon"], ["memory"]], []],
    ["fits the default memory, which has to come first", { memory: "16", balloon: 0 }, { memory: null, balloon: 64 }, [["memory"], ["balloon"]], []],
    ["does not fit the default memory", { memory: "2048" }, { memory: null, balloon: 768 }, [["memory"]], ["balloon"]],
    ["of 0 is off and fits any memory", { memory: "2048" }, { memory: 16, balloon: 0 }, [["balloon", "memory"]], []],
  ];
  for (const [what, running, config, writes, deferred] of cases) {
    test(`${what}`, () => {
      expect(shown(planned(running, config))).toEqual([writes, deferred]);
    });
  }

  test("is held against memory whose deletion still waits for a restart", () => {
    const waiting = [{ key: "memory", change: "delete", isForced: false }] as const;
    expect(shown(planned({ memory: "16", balloon: 0 }, { balloon: 64 }, waiting))).toEqual([[], ["balloon"]]);
  });

  test("says the numbers and what to do", () => {
    expect(planned({ memory: "512" }, { balloon: 1024 }).deferred[0]?.message).toBe(
      "balloon: expected a balloon of at most the memory (512 MiB), found 1024, which Proxmox refuses; declare both so that they fit",
    );
  });
});
