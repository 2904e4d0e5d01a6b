import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import { createDirectorySource } from "./directory-source.ts";
import type { DesiredSource, DesiredState } from "./model.ts";
import { combineFiles } from "./parse.ts";

/** The part of the agent's settings that says where desired state comes from. */
export type DesiredSourceSettings = { readonly source: "empty" } | { readonly source: "directory"; readonly path: string };

/** The source the settings ask for. Close it before making another. */
export function createDesiredSource(settings: DesiredSourceSettings, parts: { readonly clock: Clock; readonly log: Log }): DesiredSource {
  switch (settings.source) {
    case "empty":
      return createEmptySource();
    case "directory":
      return createDirectorySource({ path: settings.path, ...parts });
  }
}

/** Declares nothing, on purpose: the agent observes that it has nothing to do. */
export function createEmptySource(): DesiredSource {
  return fixedSource("empty", combineFiles([]));
}

/** Declares the same for ever; for tests and demonstrations. */
export function createStaticSource(state: DesiredState): DesiredSource {
  return fixedSource("static", state);
}

function fixedSource(kind: string, { guests, conflicts, revision }: DesiredState): DesiredSource {
  const report = { state: { guests, conflicts, revision }, problems: [] };
  return { kind, load: () => Promise.resolve(report), watch: () => undefined, close: () => undefined };
}
