import { contest, type BenchSettings, type Results, type Row, type Table } from "./contest.ts";
import { FIELD_SAMPLES, fieldName, isDrift, type FieldSample } from "../src/bench/field-samples.ts";
import { nanosecondsOf } from "../src/bench/processor.ts";

/**
 * What comparing one field costs, as the planner does it (the normal form of what is there, the merge,
 * the normal form of what that gave), beside comparing texts, which is what most tools do and which
 * sees differences that are none, and beside JSON.parse of the value, which nobody can avoid.
 */
const OURS = "normal forms";
const TEXTS = "comparing texts";
const PARSE = "JSON.parse of the value";

export async function run({ isQuick }: BenchSettings): Promise<Results> {
  const [budgetMs, rounds] = isQuick ? [5, 5] : [60, 9];
  const rows: Row[] = [];
  for (const field of FIELD_SAMPLES) {
    if (isDrift(field)) throw new Error(`${fieldName(field)} should not drift`);
    const json = JSON.stringify({ [field.key]: field.observed });
    const works: Readonly<Record<string, () => unknown>> = { [OURS]: () => isDrift(field), [TEXTS]: () => differsAsText(field), [PARSE]: () => JSON.parse(json) };
    const contenders = Object.entries(works).map(([name, work]) => ({ name, sample: async () => ({ value: await nanosecondsOf(work, budgetMs) }) }));
    rows.push(...(await contest(fieldName(field), contenders, rounds)));
  }
  const table: Table = { title: "One field, declared and as Proxmox writes it", ours: OURS, unit: "ns", better: "lower", rows };
  const fooled = FIELD_SAMPLES.filter(differsAsText).length;
  return {
    name: "normalize", title: "Normal forms", tables: [table], goals: [],
    notes: [`None of these ${FIELD_SAMPLES.length} fields differs. Comparing texts reports a difference in ${fooled} of them: it is fast and wrong.`],
  };
}

/** The values as a template would write them. */
function differsAsText({ declared, observed }: FieldSample): boolean {
  return (typeof declared === "object" ? JSON.stringify(declared) : String(declared)) !== String(observed);
}
