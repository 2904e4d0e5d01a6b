import { unreachable, type ErrorCode, type Fault } from "../ports/errors.ts";
import type { JournalHealth, JournalState } from "./types.ts";

/** The journal's state, in one place: who finds trouble says so here, who writes asks here. */
export class HealthHolder {
  #health: JournalHealth = { state: "healthy", message: "" };

  get current(): JournalHealth {
    return this.#health;
  }

  get state(): JournalState {
    return this.#health.state;
  }

  set(state: JournalState, message: string): JournalHealth {
    this.#health = { state, message };
    return this.#health;
  }

  /** What a refused writer hears. */
  fault(): Fault {
    return { code: codeOf(this.state), message: this.#health.message };
  }
}

function codeOf(state: JournalState): ErrorCode {
  switch (state) {
    case "missing":
      return "journal.missing";
    case "unwritable":
      return "journal.unwritable";
    case "insecure":
      return "journal.insecure";
    case "full":
      return "journal.no_space";
    case "poisoned":
      return "journal.poisoned";
    case "corrupt":
      return "journal.corrupt";
    case "healthy":
    case "closed":
      return "journal.closed";
    default:
      return unreachable(state);
  }
}

/** The state a failed file operation leaves the journal in when it stands for the whole journal. */
export function stateAfter(error: Fault): "missing" | "full" | "unwritable" {
  if (error.code === "file.not_found") return "missing";
  return error.code === "file.no_space" ? "full" : "unwritable";
}
