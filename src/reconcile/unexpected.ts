/** What a job ended with that nobody meant to happen, for a person: a fault's or an error's own words. */
export function messageOf(error: unknown): string {
  const isSpoken = typeof error === "object" && error !== null && "message" in error && typeof error.message === "string";
  return isSpoken ? String(error.message) : String(error);
}

/** The same for the log: with the place it came from, where it is known. */
export function traceOf(error: unknown): string {
  return error instanceof Error && error.stack !== undefined ? error.stack : messageOf(error);
}
