import { setImmediate } from "node:timers/promises";
import { decodeText } from "../document/decode.ts";
import { printableName } from "../document/document.ts";
import { parseInSteps } from "../document/parse.ts";
import type { Steps } from "../document/steps.ts";
import type { Clock } from "../ports/clock.ts";
import type { Result } from "../ports/errors.ts";
import type { Log } from "../ports/log.ts";
import { type DirectoryFiles, realDirectoryFiles } from "./directory-files.ts";
import { DirectoryScanner, FILE_BYTES_MAX, type Scan, type ScannedFile } from "./directory-scan.ts";
import type { DesiredProblem, DesiredReport, DesiredSource, DesiredState } from "./model.ts";
import { combineFiles, judgeDocument, type ParsedFile } from "./parse.ts";
import { problemOfDocument } from "./problems.ts";

/** Events of one save arrive within this; they become one look at the directory. */
const DEBOUNCE_MS = 100;

/** A look that was caused by an event waits longer the more files there are, about three times what reading them takes: however fast names change, most of the time is left for other things. */
const DEBOUNCE_A_FILE_MS = 0.5;

/** Problems in one report: a person mends the first few and looks again. */
const REPORTED_PROBLEMS_MAX = 50;

/** How often content is compared by itself: finds what the watch misses (a new directory by the old name, network file systems). */
export const DEFAULT_RECHECK_INTERVAL_MS = 5_000;

/** What a directory source works with. */
export interface DirectorySourceOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly recheckIntervalMs?: number;
  readonly files?: DirectoryFiles;
}

/** Desired state from every *.yaml, *.yml and *.json file directly in a directory. */
export function createDirectorySource(options: DirectorySourceOptions): DesiredSource {
  return new DirectorySource(options);
}

interface CachedFile {
  readonly contentKey: string;
  readonly parsed: ParsedFile;
}

class DirectorySource implements DesiredSource {
  readonly kind = "directory";
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #files: DirectoryFiles;
  readonly #scanner: DirectoryScanner;
  readonly #recheckIntervalMs: number;
  #cache = new Map<string, CachedFile>();
  #lastGood: DesiredState | undefined;
  /** What the newest load saw, to tell a change from a mere event. */
  #seen: string | undefined;
  #running: Promise<DesiredReport> | undefined;
  #waiting: Promise<DesiredReport> | undefined;
  #changed: (() => void) | undefined;
  #watch: { readonly identity: string; readonly stop: () => void } | undefined;
  #watchFailure = "";
  #isChecking = false;
  #isCheckDue = false;
  #cancelDebounce: (() => void) | undefined;
  #cancelRecheck: (() => void) | undefined;
  #isClosed = false;

  constructor(options: DirectorySourceOptions) {
    this.#path = options.path;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#files = options.files ?? realDirectoryFiles;
    this.#scanner = new DirectoryScanner(this.#path, this.#files, this.#clock);
    this.#recheckIntervalMs = options.recheckIntervalMs ?? DEFAULT_RECHECK_INTERVAL_MS;
  }

  /** One load at a time; calls that come meanwhile share the next one, so that none gets content older than its call. */
  load(): Promise<DesiredReport> {
    if (this.#running === undefined) return this.#start();
    this.#waiting ??= this.#running.then(() => {
      this.#waiting = undefined;
      return this.#start();
    });
    return this.#waiting;
  }

  watch(changed: () => void): void {
    if (this.#isClosed) return;
    this.#changed = changed;
    void this.#ensureWatch();
    this.#scheduleRecheck();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelDebounce?.();
    this.#cancelRecheck?.();
    this.#watch?.stop();
    this.#watch = undefined;
  }

  #start(): Promise<DesiredReport> {
    const running = this.#loadOnce();
    this.#running = running;
    return running.finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
  }

  async #loadOnce(): Promise<DesiredReport> {
    const scan = await this.#scanner.scan();
    this.#seen = fingerprintOfScan(scan);
    if (!scan.ok) return this.#report([toProblem(scan.error)]);
    if (scan.value.files.length === 0) return this.#report([nothingThere(this.#path)]);
    const { problems, ...state } = combineFiles(await this.#parseChanged(scan.value.files));
    if (problems.length > 0) return this.#report(problems);
    this.#lastGood = state;
    return this.#report([]);
  }

  #report(problems: readonly DesiredProblem[]): DesiredReport {
    return { state: this.#lastGood, problems: limitProblems(this.#path, problems) };
  }

  /** Parses what changed, with a turn for everything else after each file; what is gone from the directory is gone from the cache. */
  async #parseChanged(files: readonly ScannedFile[]): Promise<readonly ParsedFile[]> {
    const next = new Map<string, CachedFile>();
    for (const file of files) {
      const cached = this.#cache.get(file.path);
      if (cached?.contentKey === file.contentKey) {
        next.set(file.path, cached);
        continue;
      }
      next.set(file.path, { contentKey: file.contentKey, parsed: await parseScanned(file) });
      await setImmediate();
    }
    this.#cache = next;
    return [...next.values()].map((entry) => entry.parsed);
  }

  #scheduleRecheck(): void {
    if (this.#isClosed) return;
    this.#cancelRecheck?.();
    this.#cancelRecheck = this.#clock.schedule(this.#recheckIntervalMs, () => {
      void this.#check().finally(() => this.#scheduleRecheck());
    });
  }

  /** Not restarted by further events: a directory that never rests must not keep its first change from being seen. */
  #noticeEvent(): void {
    if (this.#isClosed || this.#cancelDebounce !== undefined) return;
    this.#cancelDebounce = this.#clock.schedule(Math.max(DEBOUNCE_MS, this.#cache.size * DEBOUNCE_A_FILE_MS), () => {
      this.#cancelDebounce = undefined;
      void this.#check();
    });
  }

  /** Compares content with what was loaded last and tells when it differs. */
  async #check(): Promise<void> {
    if (this.#isChecking) {
      this.#isCheckDue = true;
      return;
    }
    this.#isChecking = true;
    try {
      do {
        this.#isCheckDue = false;
        await this.#ensureWatch();
        const scan = await this.#scanner.scan();
        if (!this.#isClosed && fingerprintOfScan(scan) !== this.#seen) this.#changed?.();
      } while (this.#isCheckDue && !this.#isClosed);
    } finally {
      this.#isChecking = false;
    }
  }

  /** A watch follows the directory it was set on, not the path: set it again when another directory stands there. */
  async #ensureWatch(): Promise<void> {
    const identity = await this.#files.identify(this.#path);
    if (this.#isClosed || this.#changed === undefined) return;
    if (!identity.ok || identity.value !== this.#watch?.identity) {
      this.#watch?.stop();
      this.#watch = undefined;
    }
    if (identity.ok && this.#watch === undefined) this.#setWatch(identity.value);
  }

  #setWatch(identity: string): void {
    const watching = this.#files.watch(this.#path, () => this.#noticeEvent(), (cause) => this.#loseWatch(identity, cause));
    if (watching.ok) {
      this.#watch = { identity, stop: watching.value };
      this.#watchFailure = "";
    } else if (this.#watchFailure !== watching.error.message) {
      this.#watchFailure = watching.error.message;
      this.#log.warn("cannot watch the desired-state directory; changes are found by looking instead", {
        path: this.#path, intervalMs: this.#recheckIntervalMs, error: watching.error.message,
      });
    }
  }

  #loseWatch(identity: string, cause: unknown): void {
    if (this.#watch?.identity !== identity) return;
    this.#watch.stop();
    this.#watch = undefined;
    this.#log.debug("the watch on the desired-state directory ended; it is set again at the next look", { path: this.#path, cause: String(cause) });
    this.#noticeEvent();
  }
}

async function parseScanned(file: ScannedFile): Promise<ParsedFile> {
  const name = printableName(file.path);
  if (!file.content.ok) return { guests: [], problems: [toProblem({ ...file.content.error, message: `${name}: ${file.content.error.message}` })] };
  try {
    return await parseBytes(file.path, file.content.value);
  } catch (cause) {
    // The parser is not ours: should it fail on a text, that costs this file and not the agent.
    const found = cause instanceof Error ? cause.name : "an error";
    return { guests: [], problems: [{ code: "desired.syntax", message: `${name}:1:1: expected a text that can be parsed, found one on which the parser fails (${found}); write it in a simpler way, and please report it` }] };
  }
}

async function parseBytes(path: string, bytes: Uint8Array): Promise<ParsedFile> {
  const decoded = decodeText(path, bytes, FILE_BYTES_MAX);
  if (!decoded.ok) return { guests: [], problems: [problemOfDocument(decoded.problem)] };
  return judgeDocument(await inTurns(parseInSteps(path, decoded.text)));
}

/** Does a work with a turn for everything else after each step, so that a large file does not keep health probes waiting. */
async function inTurns<T>(steps: Steps<T>): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await setImmediate();
  }
}

function toProblem(error: { readonly code: string; readonly message: string }): DesiredProblem {
  return { code: error.code === "desired.too_large" ? "desired.too_large" : "desired.unreadable", message: error.message };
}

function nothingThere(path: string): DesiredProblem {
  return {
    code: "desired.empty",
    message: `${printableName(path)}: expected at least one *.yaml, *.yml or *.json file, found none; to declare no guests, write a file with \`version: 1\` and \`guests: []\``,
  };
}

function fingerprintOfScan(scan: Result<Scan>): string {
  return scan.ok ? scan.value.fingerprint : scan.error.message;
}

function limitProblems(path: string, problems: readonly DesiredProblem[]): readonly DesiredProblem[] {
  const [first, ...rest] = problems.slice(REPORTED_PROBLEMS_MAX);
  if (first === undefined) return problems;
  return [...problems.slice(0, REPORTED_PROBLEMS_MAX), { code: first.code, message: `${printableName(path)}: and ${rest.length + 1} more; mend these first` }];
}
