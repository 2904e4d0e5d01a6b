import { fault, ok, type Result } from "../ports/errors.ts";

/** One thing that installing or uninstalling does, or finds done. */
export interface Step {
  readonly verb: "create" | "change" | "keep" | "remove" | "run" | "leave";
  /** A path, a user, a command. */
  readonly what: string;
  readonly detail: string;
  /** Left out: there is nothing to do. */
  readonly apply?: () => Result<void>;
}

/** A step that finds its thing done. */
export function keep(what: string, detail = ""): Step {
  return { verb: "keep", what, detail };
}

/** A step that leaves something alone on purpose. */
export function leave(what: string, detail: string): Step {
  return { verb: "leave", what, detail };
}

/** A step whose doing may throw what node:fs throws. */
export function change(verb: "create" | "change" | "remove", what: string, detail: string, act: () => void): Step {
  return {
    verb, what, detail,
    apply: () => {
      try {
        act();
        return ok(undefined);
      } catch (error) {
        return fault("install.failed", `cannot ${verb} ${what}: ${error instanceof Error ? error.message : String(error)}`, error);
      }
    },
  };
}

/** Planning only looks, and looking may be refused: without root some of it cannot be seen. */
export function looked<T>(look: () => Result<T>): Result<T> {
  try {
    return look();
  } catch (error) {
    return fault("install.failed", `cannot look at what is there: ${error instanceof Error ? error.message : String(error)}; run it as root`, error);
  }
}

/** Whether there is anything to do. */
export function isChange(step: Step): boolean {
  return step.apply !== undefined;
}
