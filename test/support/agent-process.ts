import { existsSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * The real program as a process of its own: `dist/agent`, or `bun src/main.ts` with
 * STEWARD_TEST_SOURCE=1 (faster to try, slower to run). Everything that is waited for has a deadline
 * and says what it waited for; `await using` ends the process whatever the test did.
 */

const ROOT = join(import.meta.dir, "../..");
const BINARY = join(ROOT, "dist/agent");

/** Longest wait for something that takes well under a second on an idle machine. */
export const PATIENCE_MS = 15_000;

/** How often a condition is looked at. */
const LOOK_INTERVAL_MS = 15;

/** A process that was asked to end and did not is killed after this. */
const END_TIMEOUT_MS = 5_000;

/** What a test lets a process see of the environment: enough to run, and no setting of whoever runs the tests. */
const BARE_ENVIRONMENT: Readonly<Record<string, string>> = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", LANG: "C.UTF-8" };

export interface ProcessOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The words that start the program: its path, or the interpreter and the source. */
export const PROGRAM: readonly string[] = programWords();

function programWords(): readonly string[] {
  if (process.env["STEWARD_TEST_SOURCE"] === "1") return [process.execPath, join(ROOT, "src/main.ts")];
  if (!existsSync(BINARY)) throw new Error("dist/agent is not there: run `bun run build` first, or set STEWARD_TEST_SOURCE=1 to test src/main.ts");
  const builtMs = statSync(BINARY).mtimeMs;
  // Who edits while the tests run does not change what they run.
  const beganMs = Date.now() - process.uptime() * 1000;
  const newer = [...new Bun.Glob("src/**/*.ts").scanSync({ cwd: ROOT })].find((path) => {
    const { mtimeMs } = statSync(join(ROOT, path));
    return mtimeMs > builtMs && mtimeMs < beganMs;
  });
  if (newer !== undefined) throw new Error(`dist/agent is older than ${newer}, so another program would be tested: run \`bun run build\`, or set STEWARD_TEST_SOURCE=1 to test src/main.ts`);
  return [BINARY];
}

/** Looks until `look` gives something other than undefined or false. Throws with `what` at the deadline. */
export async function until<T>(
  what: string, look: () => T | undefined | false | Promise<T | undefined | false>, patienceMs: number = PATIENCE_MS, intervalMs: number = LOOK_INTERVAL_MS,
): Promise<T> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > deadlineMs) throw new Error(`waited ${patienceMs} ms for ${what}`);
    await Bun.sleep(intervalMs);
  }
}

/** Runs the program to its end. */
export async function runAgent(words: readonly string[], options: ProcessOptions = {}, patienceMs: number = 2 * PATIENCE_MS): Promise<Finished> {
  await using running = startAgent(words, options);
  const code = await running.end(patienceMs);
  return { code, stdout: running.stdout(), stderr: running.stderr() };
}

export interface AgentProcess extends AsyncDisposable {
  readonly pid: number;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  /** The first match of `pattern` in what it wrote, standard output before standard error. */
  wrote(pattern: RegExp, patienceMs?: number): Promise<RegExpMatchArray>;
  isRunning(): boolean;
  signal(name: NodeJS.Signals): void;
  /** Waits for its end and all of its output: the exit code, 128 + n after signal n. */
  end(patienceMs?: number): Promise<number>;
  /** SIGTERM and its end. */
  stop(): Promise<number>;
  /** SIGKILL and its end. */
  kill(): Promise<void>;
}

/** Starts the program and returns at once. */
export function startAgent(words: readonly string[], options: ProcessOptions = {}): AgentProcess {
  return new Running([...PROGRAM, ...words], options);
}

class Running implements AgentProcess {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #words: string;
  readonly #read: Promise<unknown>;
  #out = "";
  #err = "";

  constructor(words: readonly string[], { environment = {}, workingDirectory = "/" }: ProcessOptions) {
    this.#words = words.join(" ");
    this.#child = Bun.spawn([...words], { cwd: workingDirectory, env: { ...BARE_ENVIRONMENT, ...environment }, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    this.#read = Promise.all([
      gather(this.#child.stdout, (text) => (this.#out += text)),
      gather(this.#child.stderr, (text) => (this.#err += text)),
    ]);
  }

  get pid(): number {
    return this.#child.pid;
  }

  stdout(): string {
    return this.#out;
  }

  stderr(): string {
    return this.#err;
  }

  async wrote(pattern: RegExp, patienceMs: number = PATIENCE_MS): Promise<RegExpMatchArray> {
    const find = (): RegExpMatchArray | undefined => this.#out.match(pattern) ?? this.#err.match(pattern) ?? undefined;
    const seen = await until(`${pattern} from ${this.#words}`, () => find() ?? (this.isRunning() ? undefined : { ended: true as const }), patienceMs).catch((error: unknown) => {
      throw new Error(`${String(error)}; it wrote:\n${this.#out}${this.#err}`);
    });
    if (!("ended" in seen)) return seen;
    await this.#read;
    const last = find();
    if (last === undefined) throw new Error(`${this.#words} ended with ${this.#child.exitCode ?? this.#child.signalCode} and never wrote ${pattern}:\n${this.#out}${this.#err}`);
    return last;
  }

  isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async end(patienceMs: number = PATIENCE_MS): Promise<number> {
    await until(`the end of ${this.#words}`, () => !this.isRunning(), patienceMs).catch((error: unknown) => {
      throw new Error(`${String(error)}; it wrote:\n${this.#out}${this.#err}`);
    });
    await this.#read;
    return this.#child.exited;
  }

  stop(): Promise<number> {
    this.signal("SIGTERM");
    return this.end();
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isRunning()) this.signal("SIGTERM");
    await this.end(END_TIMEOUT_MS).catch(() => this.kill());
  }
}

async function gather(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
}
