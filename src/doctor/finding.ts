/** How a check came out. `skipped`: it could not be made, or does not apply, and the text says why. */
export const STATUSES = ["ok", "skipped", "warn", "fail"] as const;
export type Status = (typeof STATUSES)[number];

/** What one check says of the facts. */
export interface Judgement {
  readonly status: Status;
  /** What is there, in words. */
  readonly found: string;
  /** How to mend it; left out where there is nothing to mend. */
  readonly mend?: string;
  /** Single places, one a line: guests with what they lack, files with their modes. */
  readonly details?: readonly string[];
}

/** One line of the report; the shape of `-o json`, an interface. */
export interface Finding {
  readonly name: string;
  readonly status: Status;
  readonly found: string;
  readonly expected: string;
  /** Empty where there is nothing to mend. */
  readonly mend: string;
  readonly details: readonly string[];
}

export function fine(found: string, details: readonly string[] = []): Judgement {
  return { status: "ok", found, details };
}

export function skip(found: string): Judgement {
  return { status: "skipped", found };
}

export function warn(found: string, mend: string, details: readonly string[] = []): Judgement {
  return { status: "warn", found, mend, details };
}

export function broken(found: string, mend: string, details: readonly string[] = []): Judgement {
  return { status: "fail", found, mend, details };
}

/** The worse of two: fail, then warn, then skipped. */
export function worst(statuses: Iterable<Status>): Status {
  let found: Status = "ok";
  for (const status of statuses) if (STATUSES.indexOf(status) > STATUSES.indexOf(found)) found = status;
  return found;
}
