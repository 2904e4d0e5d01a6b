import { fault, ok, type Result } from "../ports/errors.ts";

/** What a program came to. */
export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The programs of this machine that installing needs: useradd, systemctl, pveum. The daemon starts none. */
export interface Programs {
  /** Where a program is; undefined when it is not on the path. */
  find(name: string): string | undefined;
  /** Runs a program to its end; a fault only when it could not be run or was stopped for taking too long. */
  run(name: string, args: readonly string[]): Result<Ran>;
}

/** pveum loads all of Proxmox's Perl: a second or two. A service that starts waits for its READY. */
const TIMEOUT_MS = 120_000;

/** The longest list pveum prints is of roles; a program that prints more is another one. */
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024;

/** Administrators' programs are in sbin, which is not on everybody's path. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Programs found by `path` (the PATH variable), or where systems have them. */
export function systemPrograms(path: string | undefined): Programs {
  const searched = path === undefined || path === "" ? SYSTEM_PATH : `${path}:${SYSTEM_PATH}`;
  const find = (name: string): string | undefined => Bun.which(name, { PATH: searched }) ?? undefined;
  return {
    find,
    run: (name, args) => {
      const program = find(name);
      if (program === undefined) return fault("install.failed", `expected the program ${name} to be installed, found none in ${searched}`);
      // C.UTF-8: its answers are read, and must not be translated. Nothing else of the environment is passed on.
      const child = Bun.spawnSync([program, ...args], {
        env: { PATH: searched, LC_ALL: "C.UTF-8" }, stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX,
      });
      if (child.exitedDueToTimeout === true || child.exitedDueToMaxBuffer === true) {
        return fault("install.failed", `expected ${name} to end within ${TIMEOUT_MS / 1000} s and print at most ${OUTPUT_BYTES_MAX} bytes; it was stopped`);
      }
      return ok({ exitCode: child.exitCode, stdout: child.stdout.toString(), stderr: child.stderr.toString() });
    },
  };
}

/** Runs a program that must succeed; a fault quotes what it complained about, never what it printed. */
export function runOrFail(programs: Programs, name: string, args: readonly string[]): Result<string> {
  const ran = programs.run(name, args);
  if (!ran.ok) return ran;
  if (ran.value.exitCode === 0) return ok(ran.value.stdout);
  const complaint = ran.value.stderr.trim().replace(/\s+/g, " ").slice(0, 500);
  return fault("install.failed", `${[name, ...args].join(" ")} failed with exit code ${ran.value.exitCode}: ${complaint === "" ? "it said nothing" : complaint}`);
}
