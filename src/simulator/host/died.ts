/**
 * How a simulated Proxmox method ends early. Proxmox's own code dies out of nested calls, and what was
 * written before stays written; that is part of what is simulated, so here (and only here) an expected
 * failure is thrown. It is caught at three places: the request (router.ts), the task (tasks.ts) and
 * where Proxmox itself carries on after a failure (per option of a hot-plug).
 */
export class Died extends Error {
  readonly status: number;
  /** Message per parameter, for 400. */
  readonly errors: Readonly<Record<string, string>> | undefined;

  private constructor(message: string, status: number, errors?: Readonly<Record<string, string>>) {
    super(message);
    this.name = "Died";
    this.status = status;
    this.errors = errors;
  }

  /** 500 with `message` as reason. */
  static because(message: string): Died {
    return new Died(message, 500);
  }

  /** 400 with a message per parameter. */
  static parameters(errors: Readonly<Record<string, string>>): Died {
    return new Died("Parameter verification failed.", 400, errors);
  }

  /** 403; `what` is "(/vms/100, VM.Audit)" without the brackets, or nothing. */
  static permission(what?: string): Died {
    return new Died(what === undefined ? "Permission check failed" : `Permission check failed (${what})`, 403);
  }

  /** 501, which carries no trailing newline in its body. */
  static notImplemented(method: string, path: string): Died {
    return new Died(`Method '${method} ${path}' not implemented`, 501);
  }

  /** As a task's exit text and log show it: one line, the code and the parameters in it. */
  taskText(): string {
    if (this.errors === undefined) return this.message.replaceAll("\n", " ");
    const lines = Object.entries(this.errors).map(([key, text]) => `${key}: ${text}\n`);
    return `${this.status} ${this.message}\n${lines.join("")}`.replace(/\n$/, "").replaceAll("\n", " ");
  }
}

/** Runs `act`; its death is the value. Programmer errors pass through. */
export function whatKills(act: () => void): Died | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof Died) return error;
    throw error;
  }
}
