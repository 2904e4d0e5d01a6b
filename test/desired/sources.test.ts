import { expect, test } from "bun:test";
import { parseDesiredFiles } from "../../src/desired/parse.ts";
import { createDesiredSource, createEmptySource, createStaticSource } from "../../src/desired/sources.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const parts = { clock: new FakeClock(), log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined } };

test("the empty source declares nothing, without a problem, and has a revision", async () => {
  const report = await createEmptySource().load();
  expect(report.problems).toEqual([]);
  expect(report.state?.guests.size).toBe(0);
  expect(report.state?.revision).toBe(parseDesiredFiles([{ name: "a.yaml", text: "version: 1\nguests: []\n" }]).revision);
});

test("the static source gives what it was given", async () => {
  const state = parseDesiredFiles([{ name: "a.yaml", text: "version: 1\nguests: [{ vmid: 101, kind: lxc }]\n" }]);
  const source = createStaticSource(state);
  source.watch(() => undefined);
  const report = await source.load();
  expect(report).toEqual({ state: { guests: state.guests, conflicts: [], revision: state.revision }, problems: [] });
  source.close();
});

test.each([
  [{ source: "empty" } as const, "empty"],
  [{ source: "directory", path: temporaryDirectory() } as const, "directory"],
])("settings %j make a source of kind %s", (settings, kind) => {
  const source = createDesiredSource(settings, parts);
  expect(source.kind).toBe(kind);
  source.close();
});
