import * as v from "valibot";
import { GROUPS } from "./suite.ts";
import { BANDS } from "./verdict.ts";
import { fault, ok, type Result } from "../ports/errors.ts";

/**
 * The JSON of `agent bench --json`, an interface (docs/performance.md): within one version, keys are
 * only added. `--compare` reads it again.
 */

const FORMAT = "steward-bench";
const VERSION = 1;

const text = v.string();
const listOf = <T extends v.GenericSchema>(item: T) => v.pipe(v.array(item), v.readonly());
const number = v.pipe(v.number(), v.finite(), v.minValue(0));

const diskSchema = v.object({ name: text, model: v.nullable(text), isRotational: v.nullable(v.boolean()), writeCache: v.nullable(text) });

const machineSchema = v.object({
  product: v.nullable(text), cpu: v.nullable(text), cores: number, memoryMib: v.nullable(number), architecture: text, kernel: v.nullable(text), bun: text,
});

const placeSchema = v.object({ directory: text, mountPoint: v.nullable(text), fileSystem: v.nullable(text), source: v.nullable(text), disks: listOf(diskSchema) });

const figureSchema = v.object({
  name: text, group: v.picklist(GROUPS), unit: text, better: v.picklist(["higher", "lower"]),
  value: number, min: number, max: number, p50Ms: v.nullable(number), p99Ms: v.nullable(number), rounds: number,
});

const verdictSchema = v.object({ band: v.picklist(BANDS), syncsPerSecond: number, message: text, advice: listOf(text) });

const comparisonSchema = v.object({
  against: text,
  differences: listOf(text),
  figures: listOf(v.object({ name: text, before: number, now: number, ratio: number, isWithinSpread: v.boolean() })),
});

export const reportSchema = v.object({
  format: v.literal(FORMAT),
  version: v.literal(VERSION),
  at: text,
  isQuick: v.boolean(),
  steward: v.object({ version: text, commit: text }),
  machine: machineSchema,
  place: placeSchema,
  journalFile: v.nullable(v.picklist(["growing", "filled"])),
  figures: listOf(figureSchema),
  failures: listOf(v.object({ name: text, message: text })),
  verdict: v.nullable(verdictSchema),
  comparison: v.optional(comparisonSchema),
});

export type BenchReport = v.InferOutput<typeof reportSchema>;
export type ReportFigure = v.InferOutput<typeof figureSchema>;
export type Machine = v.InferOutput<typeof machineSchema>;
export type Place = v.InferOutput<typeof placeSchema>;
export type Disk = v.InferOutput<typeof diskSchema>;
export type Verdict = v.InferOutput<typeof verdictSchema>;
export type Comparison = v.InferOutput<typeof comparisonSchema>;

/** What stands in every report of this version. */
export const REPORT_HEAD = { format: FORMAT, version: VERSION } as const;

/** Reads an earlier report; `where` is named in what is wrong with it. */
export function parseReport(content: string, where: string): Result<BenchReport> {
  const expected = `expected what "agent bench --json" printed`;
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    return fault("command.usage", `${where}: ${expected}, found no JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  const parsed = v.safeParse(reportSchema, value);
  if (parsed.success) return ok(parsed.output);
  const [issue] = parsed.issues;
  const head = v.safeParse(v.object({ format: v.literal(FORMAT), version: v.number() }), value);
  if (head.success && head.output.version !== VERSION) return fault("command.usage", `${where}: expected version ${VERSION} of the report, found ${head.output.version}: measure again with this agent`);
  return fault("command.usage", `${where}: ${expected}, found something else at ${v.getDotPath(issue) ?? "its top"} (${issue.message})`);
}
