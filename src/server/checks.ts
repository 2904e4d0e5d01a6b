import { HOST_CONDITIONS, type Condition, type HostConditionType } from "../conditions/condition.ts";
import type { ServerView } from "./view.ts";

/** One named question of a probe, answered. */
export interface Check {
  readonly name: string;
  readonly isPassing: boolean;
  /** One word from a closed list: safe to show to anybody. */
  readonly reason: string;
  /** For a person; may name guests and errors: shown to loopback peers only. */
  readonly message: string;
  /** RFC 3339, when it last changed; undefined where nobody keeps count. */
  readonly since: string | undefined;
}

/** /livez: does the process get anywhere? A pass that failed is progress too; only a stuck loop is not. */
export function livenessChecks(view: ServerView): readonly Check[] {
  const { isAlive, message } = view.liveness();
  return [{ name: "Progress", isPassing: isAlive, reason: isAlive ? "Progressing" : "Stalled", message, since: undefined }];
}

/** /readyz: one check for each host condition that readiness needs, in the order of the list. */
export function readinessChecks(view: ServerView): readonly Check[] {
  const conditions = new Map(view.hostConditions().map((condition) => [condition.type, condition]));
  return requiredHostConditions().map((type) => readinessCheck(type, conditions.get(type)));
}

interface HostConditionRule {
  readonly isRequired: boolean;
  readonly toleratedReasons?: readonly string[];
}

const RULES: ReadonlyMap<HostConditionType, HostConditionRule> = new Map(
  // Object.keys forgets the names' type; these are the object's own keys.
  (Object.keys(HOST_CONDITIONS) as HostConditionType[]).map((type) => [type, HOST_CONDITIONS[type]]),
);

/** Host conditions that readiness needs. */
function requiredHostConditions(): readonly HostConditionType[] {
  return [...RULES].filter(([, rule]) => rule.isRequired).map(([type]) => type);
}

function readinessCheck(type: HostConditionType, condition: Condition | undefined): Check {
  if (condition === undefined) return { name: type, isPassing: false, reason: "Starting", message: "not known yet", since: undefined };
  const isTolerated = condition.status === "Unknown" && RULES.get(type)?.toleratedReasons?.includes(condition.reason) === true;
  return {
    name: type,
    isPassing: condition.status === "True" || isTolerated,
    reason: condition.reason,
    message: condition.message,
    since: condition.lastTransitionTime,
  };
}
