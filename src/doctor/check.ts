import type { Result } from "../ports/errors.ts";
import type { ConfiguredFacts, Facts } from "./facts.ts";
import { broken, skip, type Judgement } from "./finding.ts";

/** One thing that must hold. */
export interface Check {
  /** Stable: scripts ask for it in `-o json`. */
  readonly name: string;
  readonly expected: string;
  /** Pure. */
  readonly judge: (facts: Facts) => Judgement;
}

/** A check of facts that only a config that loads leads to. */
export function check(name: string, expected: string, judge: (facts: ConfiguredFacts) => Judgement): Check {
  return { name, expected, judge: ({ configured }) => (configured.ok ? judge(configured.value) : skip("the config does not load, see config")) };
}

/** A check of one gathered fact; one that could not be gathered is a failure of its own. */
export function checkOf<K extends GatheredName>(name: string, fact: K, expected: string, judge: (value: Gathered<K>, facts: ConfiguredFacts) => Judgement): Check {
  return check(name, expected, (facts) => {
    const result: ConfiguredFacts[K] = facts[fact];
    return result.ok ? judge(result.value, facts) : broken(result.error.message, NOT_GATHERED);
  });
}

type GatheredName = { [K in keyof ConfiguredFacts]: ConfiguredFacts[K] extends Result<unknown> ? K : never }[keyof ConfiguredFacts];
type Gathered<K extends GatheredName> = Extract<ConfiguredFacts[K], { readonly ok: true }>["value"];

const NOT_GATHERED = "run agent doctor again; when it stays so, the system behind it hangs";
