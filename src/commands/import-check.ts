import { parseDesiredFiles, type DesiredFile } from "../desired/parse.ts";
import { gatePlan } from "../gate/admit.ts";
import { formatGuestKey } from "../guest/key.ts";
import type { ObservedGuest } from "../guest/observed.ts";
import type { PlanFacts } from "../plan/input.ts";
import { planGuest } from "../plan/plan-guest.ts";
import { isInSync } from "../plan/plan-host.ts";

/**
 * Reads the texts as the agent will and plans every guest: what is handed out declares just what is there.
 * @throws Error when it does not, which is a defect of this program; nothing may be written then
 */
export function assertSilent(files: readonly DesiredFile[], guests: readonly ObservedGuest[], facts: PlanFacts): void {
  const parsed = parseDesiredFiles(files);
  const [problem] = parsed.problems;
  if (problem !== undefined) throw new Error(`what import wrote cannot be read back: ${problem.message}`);
  for (const observed of guests) {
    const desired = parsed.guests.get(observed.vmid);
    if (desired === undefined) throw new Error(`import lost ${formatGuestKey(observed)}`);
    const plan = gatePlan(planGuest({ desired, observed, situation: {}, facts }), observed);
    if (isInSync(plan)) continue;
    const keys = [...plan.actions, ...plan.withheld].map((action) => (action.type === "set_config" ? action.changes.map(({ key }) => key).join(", ") : action.type));
    throw new Error(`what import wrote of ${formatGuestKey(observed)} would change ${[...keys, ...plan.deferred.map(({ key }) => key)].join(", ")}`);
  }
}
