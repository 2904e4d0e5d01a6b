import { writeSync } from "node:fs";
import { hostname } from "node:os";
import { createInterface } from "node:readline/promises";
import { runCommandLine } from "./commands/cli.ts";
import { EXIT } from "./commands/context.ts";
import { SystemClock } from "./runtime/clock.ts";
import { FileProbe } from "./runtime/file-probe.ts";
import { createFileSystem } from "./runtime/file-system.ts";
import { Logger } from "./runtime/logger.ts";
import { SystemRandom } from "./runtime/random.ts";

/**
 * The entry point: the real world for the command line, signals, and the exit code. Variables that
 * would make the runtime trust or send what the agent would not are dropped before anything else.
 */

/** Variables of the runtime that change whom TLS trusts, where requests go, or what is printed of them. */
const SUBVERTING_VARIABLES = [
  "NODE_TLS_REJECT_UNAUTHORIZED", "NODE_EXTRA_CA_CERTS", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy",
  "BUN_CONFIG_VERBOSE_FETCH", "NODE_DEBUG", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE",
] as const;

/** Everything the agent writes is for itself unless it says otherwise. */
const UMASK = 0o077;

async function main(): Promise<number> {
  for (const name of SUBVERTING_VARIABLES) delete process.env[name];
  process.umask(UMASK);
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupted.abort());
  process.on("SIGINT", endAtSecondInterrupt());
  // A reader that went away ("agent status | head") is no reason for a stack trace.
  process.on("SIGPIPE", () => {});
  const outputGone = new AbortController();
  const clock = new SystemClock();
  const isTerminal = process.stdout.isTTY === true;
  const hasColours = process.stderr.isTTY === true && !process.env["NO_COLOR"];
  const log = new Logger({ clock, level: "warn", format: "text", isTerminal, hasColours });
  return runCommandLine(process.argv.slice(2), {
    world: { clock, random: new SystemRandom(), log, fileSystem: createFileSystem(), userId: process.getuid?.() ?? 0, probe: (path) => probeOf(path, clock) },
    environment: process.env,
    hostname: hostname(),
    workingDirectory: process.cwd(),
    processId: process.pid,
    isTerminal,
    // A terminal that does not tell says 0.
    terminalSize: () => ({ columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 }),
    print: (text) => {
      if (!writeAll(1, text)) outputGone.abort();
    },
    complain: (text) => void writeAll(2, text),
    outputGone: outputGone.signal,
    confirm: (question) => confirm(question, interrupted.signal),
    interrupted: interrupted.signal,
    onHangup: (callback) => process.on("SIGHUP", callback),
  });
}

function probeOf(path: string, clock: SystemClock): () => Promise<boolean> {
  const probe = new FileProbe(path, clock);
  return () => probe.answers();
}

/** A person who presses Ctrl-C twice does not want to wait; the journal settles what is cut off here at the next start. */
function endAtSecondInterrupt(): () => void {
  let count = 0;
  return () => {
    count += 1;
    if (count < 2) return;
    writeAll(2, "agent: interrupted again: ended at once; acts that were under way are settled at the next start\n");
    process.exit(EXIT.error);
  };
}

/** Anything but a clear yes is a no, and so is an interrupt: line by line, so that Ctrl-C stays a signal. */
async function confirm(question: string, interrupted: AbortSignal): Promise<boolean | undefined> {
  if (process.stdin.isTTY !== true) return undefined;
  const prompt = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    return /^\s*y(?:es)?\s*$/i.test(await prompt.question(question, { signal: interrupted }));
  } catch {
    return false;
  } finally {
    prompt.close();
  }
}

/** Writes all of `text` before it returns: output that is still buffered at exit would be lost in a pipe. False: nobody reads it. */
function writeAll(fd: number, text: string): boolean {
  const bytes = Buffer.from(text, "utf8");
  let written = 0;
  while (written < bytes.length) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "EAGAIN") continue;
      if (code === "EPIPE") return false;
      throw error;
    }
  }
  return true;
}

process.exit(await main().catch((error: unknown) => {
  writeAll(2, `agent: unexpected: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.error;
}));
