import { formatTransition } from "../conditions/condition.ts";
import { changeAnswer, statusAnswer } from "../control/answers.ts";
import { askAgentFor } from "../control/client.ts";
import type { StatusReport } from "../control/report.ts";
import { escapeJson, escapeText } from "../plan/escape.ts";
import type { PlanStyle } from "../plan/render-style.ts";
import { fault, ok, type Fault, type Result } from "../ports/errors.ts";
import { VERSION } from "../version.ts";
import { complainAbout, EXIT, untilAborted, type CommandContext, type ExitCode } from "./context.ts";
import { clip, renderScreen } from "./status-text.ts";

/**
 * `agent status -w`: on a terminal the newest status, drawn again when something changed; else one line an
 * event. It outlives the agent: while there is none it says so and waits.
 */

/** How often the agent is asked whether something changed; it answers that without looking at its guests. */
const WATCH_INTERVAL_MS = 1_000;

/** An agent that is there answers at once. */
const ANSWER_TIMEOUT_MS = 10_000;

const DEFAULT_SIZE = { columns: 80, rows: 24 } as const;

const HOME_AND_CLEAR = "\u001b[H\u001b[2J";
const HOME = "\u001b[H";
/** To the end of the line; of the screen. Lines are written over, so that nothing flickers. */
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

const WAITING = "agent not reachable, waiting";

interface WatchOptions {
  readonly style: PlanStyle;
  readonly isJson: boolean;
}

/** Where changes are shown. */
interface Display {
  show(report: StatusReport): void;
  /** There is no agent just now. */
  wait(why: string): void;
}

/** Watches until interrupted, or until nobody reads any more. */
export async function watchStatus(context: CommandContext, socket: string, options: WatchOptions): Promise<ExitCode> {
  const display = context.isTerminal && !options.isJson ? new Screen(context, options.style) : new EventLines(context, options.isJson);
  const ends = [context.interrupted, ...(context.outputGone === undefined ? [] : [context.outputGone])];
  const end = AbortSignal.any(ends);
  let seen: string | undefined;
  let hasAnswered = false;
  while (!end.aborted) {
    const asked = await Promise.race([look(socket, seen), untilAborted(end).then(() => undefined)]);
    if (asked === undefined) break;
    if (!asked.ok && !isWorthWaiting(asked.error, hasAnswered)) return complainAbout(context, asked.error);
    if (!asked.ok) display.wait(asked.error.message);
    else if (asked.value.report !== undefined) display.show(asked.value.report);
    hasAnswered ||= asked.ok;
    seen = asked.ok ? asked.value.change : undefined;
    await context.world.clock.sleep(WATCH_INTERVAL_MS, end);
  }
  return EXIT.done;
}

interface Looked {
  readonly change: string;
  /** Undefined: nothing has changed since `seen`. */
  readonly report: StatusReport | undefined;
}

async function look(socket: string, seen: string | undefined): Promise<Result<Looked>> {
  const change = await askAgentFor(socket, "/v1/change", { schema: changeAnswer, version: VERSION }, undefined, ANSWER_TIMEOUT_MS);
  // An older agent does not know the question; its whole status tells as well.
  if (!change.ok && change.error.code === "control.unreachable") return change;
  if (change.ok && change.value.change === seen) return ok({ change: seen, report: undefined });
  const status = await askAgentFor(socket, "/v1/status", { schema: statusAnswer, version: VERSION }, undefined, ANSWER_TIMEOUT_MS);
  if (!status.ok) return fault(status.error.code, status.error.message, status.error);
  return ok({ change: change.ok ? change.value.change : "", report: status.value });
}

/** An agent that has answered before may be stopping, starting or busy. */
function isWorthWaiting({ code }: Fault, hasAnswered: boolean): boolean {
  return code === "control.unreachable" || hasAnswered;
}

/** A terminal: the last status stays where it is, and changes are drawn over it. */
class Screen implements Display {
  readonly #context: CommandContext;
  readonly #style: PlanStyle;
  #last: StatusReport | undefined;
  #isDrawn = false;
  #size = "";

  constructor(context: CommandContext, style: PlanStyle) {
    this.#context = context;
    this.#style = style;
  }

  show(report: StatusReport): void {
    this.#last = report;
    this.#draw(renderScreen(report, this.#style, this.#dimensions()));
  }

  wait(why: string): void {
    const size = this.#dimensions();
    const banner = [this.#style.warning(clip(`${WAITING}: ${escapeText(why)}`, size.columns)), ""];
    const last = this.#last === undefined ? [] : renderScreen(this.#last, this.#style, { ...size, rows: size.rows - banner.length });
    this.#draw([...banner, ...last]);
  }

  #dimensions(): { readonly columns: number; readonly rows: number } {
    return this.#context.terminalSize?.() ?? DEFAULT_SIZE;
  }

  /** Written over what is there; anew when the terminal has another size. */
  #draw(lines: readonly string[]): void {
    const { columns, rows } = this.#dimensions();
    const size = `${columns}x${rows}`;
    const begin = this.#isDrawn && size === this.#size ? HOME : HOME_AND_CLEAR;
    this.#isDrawn = true;
    this.#size = size;
    // One line stays free for the cursor: what is drawn over must not scroll.
    const fitting = lines.slice(0, Math.max(1, rows - 1));
    this.#context.print(`${begin}${fitting.map((line) => `${line}${CLEAR_LINE}\n`).join("")}${CLEAR_BELOW}`);
  }
}

/** A pipe or a file: one line an event, those before the first look included, none twice. */
class EventLines implements Display {
  readonly #context: CommandContext;
  readonly #isJson: boolean;
  #startedAt: string | undefined;
  #count = 0;
  #isWaiting = false;

  constructor(context: CommandContext, isJson: boolean) {
    this.#context = context;
    this.#isJson = isJson;
  }

  show({ agent, events, eventCount }: StatusReport): void {
    this.#isWaiting = false;
    // Another process counts from the beginning.
    if (agent.startedAt !== this.#startedAt) this.#count = 0;
    this.#startedAt = agent.startedAt;
    const total = Math.max(eventCount, events.length);
    const fresh = Math.min(events.length, total - this.#count);
    // At the first look what is gone is history; later it came and went between two looks.
    const missed = this.#count === 0 ? 0 : total - this.#count - fresh;
    if (missed > 0) this.#context.complain(`agent: ${missed} events came faster than they can be asked for and are not shown; the agent's log has them\n`);
    this.#count = total;
    for (const event of fresh <= 0 ? [] : events.slice(-fresh)) {
      this.#context.print(this.#isJson ? `${escapeJson(JSON.stringify(event))}\n` : `${event.at}  ${escapeText(formatTransition(event))}\n`);
    }
  }

  wait(why: string): void {
    if (!this.#isWaiting) this.#context.complain(`agent: ${WAITING}: ${escapeText(why)}\n`);
    this.#isWaiting = true;
  }
}
