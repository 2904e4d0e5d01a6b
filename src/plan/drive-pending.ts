import type { DesiredGuest } from "../desired/model.ts";
import type { DriveChange, ObservedGuest } from "../guest/observed.ts";
import { normalizerFor } from "../normalize/registry.ts";
import type { PlanFacts } from "./input.ts";
import { isOnCloudInitDrive } from "./hot-applied.ts";
import { compareKeys } from "./keys.ts";
import type { DrivePendingField } from "./types.ts";

/**
 * Declared values that the running guest's configuration has and its cloud-init drive has not. Only
 * reported: writing the drive anew makes cloud-init run again in the guest, which is for a person to time.
 */
export function drivePendingOf(desired: DesiredGuest, observed: ObservedGuest, facts: PlanFacts): readonly DrivePendingField[] {
  const { drive } = observed;
  if (drive?.isKnown !== true) return [];
  return drive.changes
    .filter((change) => isOnCloudInitDrive(change.key) && Object.hasOwn(desired.config, change.key) && isOtherValue(change, observed, facts))
    .map(({ key, onDrive, isTold }) => ({ key, onDrive, isTold, configured: configured(key, observed) }))
    .toSorted((left, right) => compareKeys(left.key, right.key));
}

function configured(key: string, { config }: ObservedGuest): string | undefined {
  const value = config.running[key];
  return value === undefined ? undefined : String(value);
}

/** Written differently, meaning the same: a new drive would change nothing. What is not told may be anything. */
function isOtherValue({ key, onDrive, isTold }: DriveChange, observed: ObservedGuest, facts: PlanFacts): boolean {
  if (!isTold) return true;
  const normalizer = normalizerFor(observed.kind, key);
  const formOf = (value: string | undefined): string | null =>
    value === undefined ? null : normalizer.normalize(value, {
      kind: observed.kind, tagStyle: facts.tagStyle, pveVersion: facts.pveVersion, observed: value, siblings: observed.config.running,
    });
  // A password is masked on both sides: that there is a row at all says that it differs.
  return key === "cipassword" || formOf(onDrive) !== formOf(configured(key, observed));
}
