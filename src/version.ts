/**
 * Which program this is. `scripts/build.ts` replaces the two names when it compiles the binary; run
 * from source there are none, and the version says so.
 */
declare const STEWARD_VERSION: string | undefined;
declare const STEWARD_COMMIT: string | undefined;

/** From package.json, e.g. "0.1.0". */
export const VERSION: string = typeof STEWARD_VERSION === "string" ? STEWARD_VERSION : "0.0.0-development";

/** The git commit it was built from, with "-dirty" when the tree had other changes; "unknown" outside git. */
export const COMMIT: string = typeof STEWARD_COMMIT === "string" ? STEWARD_COMMIT : "unknown";
