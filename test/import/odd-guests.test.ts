import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandHost, type CommandHost } from "../support/command-host.ts";
import { ODD_GUESTS, type OddGuest } from "./odd-guests.ts";

/** Guests that no recording holds, through a whole simulated host: imported, planned, changed. */

const FIRST_VMID = 300;
const vmidOf = (guest: OddGuest): number => FIRST_VMID + ODD_GUESTS.indexOf(guest);

interface PlannedGuest {
  readonly vmid: number;
  readonly inSync: boolean;
  readonly deferred: readonly { readonly key: string; readonly message: string }[];
  readonly actions: readonly { readonly type: string; readonly changes: readonly { readonly key: string }[] }[];
}

let host: CommandHost;
let imported: readonly PlannedGuest[] = [];
let changed: readonly PlannedGuest[] = [];
let sent: Readonly<Record<number, readonly string[]>> = {};
let again: readonly PlannedGuest[] = [];

async function planned(): Promise<readonly PlannedGuest[]> {
  const ran = await host.run("plan", "-o", "json");
  expect(ran.complaints).toBe("");
  return (JSON.parse(ran.out) as { guests: readonly PlannedGuest[] }).guests;
}

function keysSent(): Readonly<Record<number, readonly string[]>> {
  const keys: Record<number, string[]> = {};
  for (const { path, parameters } of host.simulator.requestLog.mutations()) {
    const names = Object.entries(parameters).flatMap(([name, value]) => (name === "digest" ? [] : name === "delete" && typeof value === "string" ? value.split(",") : [name]));
    (keys[Number(/\/(\d+)\/config$/.exec(path)?.[1])] ??= []).push(...names);
  }
  return keys;
}

beforeAll(async () => {
  const files = ODD_GUESTS.map((guest): [string, string] => [
    `nodes/pve1/${guest.kind === "qemu" ? "qemu-server" : "lxc"}/${vmidOf(guest)}.conf`,
    guest.text.replaceAll("local:9/", `local:${vmidOf(guest)}/`).replaceAll("-9-", `-${vmidOf(guest)}-`),
  ]);
  host = await commandHost({ files: Object.fromEntries(files) });
  const ran = await host.run("import", "--out", "desired", "--no-state");
  expect([ran.code, ran.complaints]).toEqual([0, ""]);
  for (const file of readdirSync(host.desired)) expect(readFileSync(join(host.desired, file), "utf8")).not.toMatch(/SECRET|\$5\$/);
  imported = await planned();
  for (const file of readdirSync(host.desired)) rmSync(join(host.desired, file));
  const guests = ODD_GUESTS.map((guest) => ({ vmid: vmidOf(guest), kind: guest.kind, config: guest.declared }));
  writeFileSync(join(host.desired, "all.json"), JSON.stringify({ version: 1, guests }));
  changed = await planned();
  await host.run("run", "--once");
  sent = keysSent();
  again = await planned();
});
afterAll(() => host.stop());

describe.each(ODD_GUESTS.map((guest): [string, OddGuest] => [guest.what, guest]))("%s", (_, guest) => {
  const of = (guests: readonly PlannedGuest[]): PlannedGuest | undefined => guests.find(({ vmid }) => vmid === vmidOf(guest));
  const keys = Object.keys(guest.declared).sort();

  test("imported, it is in sync as it stands", () => {
    expect(of(imported)).toMatchObject({ inSync: true, actions: [], deferred: [] });
  });

  test("of what is declared on it, exactly the keys that differ are planned and sent", () => {
    expect(of(changed)?.deferred).toEqual([]);
    expect(of(changed)?.actions.flatMap(({ changes }) => changes.map(({ key }) => key)).sort()).toEqual(keys);
    expect([...(sent[vmidOf(guest)] ?? [])].sort()).toEqual(keys);
  });

  test("and after that nothing is left to do", () => {
    expect(of(again)).toMatchObject({ inSync: true, actions: [], deferred: [] });
  });
});

test("there are twenty of them, of both kinds", () => {
  expect(ODD_GUESTS).toHaveLength(20);
  expect(new Set(ODD_GUESTS.map(({ kind }) => kind)).size).toBe(2);
});
