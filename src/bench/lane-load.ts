import { Lanes } from "../lanes/lanes.ts";
import type { Clock } from "../ports/clock.ts";

/** More guests than a host has: what the number of lanes costs must show. */
export const LANE_COUNT = 10_000;

export type Job = () => Promise<void> | void;
/** Gives one job to one queue; settles when it was done. */
export type Submit = (key: number, job: Job) => PromiseLike<unknown>;

/** The agent's own lanes, fresh ones. */
export function submitToLanes(clock: Clock): Submit {
  const lanes = new Lanes({ clock });
  return (vmid, job) => {
    const submitted = lanes.submit(vmid, job);
    if (!submitted.ok) throw new Error(submitted.error.message);
    return submitted.value.done;
  };
}

/** Gives `jobsPerLane` jobs to each of the lanes, in turn, and waits for every outcome. */
export async function fillLanes(submit: Submit, jobsPerLane: number, job: Job): Promise<void> {
  const outcomes: PromiseLike<unknown>[] = [];
  for (let turn = 0; turn < jobsPerLane; turn++) {
    for (let key = 0; key < LANE_COUNT; key++) outcomes.push(submit(key, job));
  }
  await Promise.all(outcomes);
}
