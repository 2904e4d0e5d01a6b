import { runCommandLine } from "../../src/commands/cli.ts";
import type { CommandContext } from "../../src/commands/context.ts";
import type { FileSystem } from "../../src/ports/file-system.ts";
import { SystemClock } from "../../src/runtime/clock.ts";
import { createFileSystem } from "../../src/runtime/file-system.ts";
import { Logger } from "../../src/runtime/logger.ts";
import { SystemRandom } from "../../src/runtime/random.ts";
import type { Finished } from "../support/agent-process.ts";

interface Surroundings {
  readonly environment?: Readonly<Record<string, string>>;
  readonly isTerminal?: boolean;
  readonly workingDirectory?: string;
  readonly interrupted?: AbortSignal;
  /** A disk with the faults a test wants. */
  readonly fileSystem?: FileSystem;
}

/** Runs a command line in this process, with all that is real but the process itself: quick, for what is only about words. */
export async function runHere(words: readonly string[], surroundings: Surroundings = {}): Promise<Finished> {
  let [stdout, stderr] = ["", ""];
  const clock = new SystemClock();
  const log = new Logger({ clock, level: "warn", format: "text", isTerminal: false, hasColours: false, write: (line) => (stderr += `${line}\n`) });
  const context: CommandContext = {
    world: { clock, random: new SystemRandom(), log, fileSystem: surroundings.fileSystem ?? createFileSystem(), userId: process.getuid?.() ?? 0 },
    environment: surroundings.environment ?? {},
    hostname: "pve1",
    workingDirectory: surroundings.workingDirectory ?? "/",
    processId: process.pid,
    isTerminal: surroundings.isTerminal ?? false,
    print: (text) => (stdout += text),
    complain: (text) => (stderr += text),
    interrupted: surroundings.interrupted ?? new AbortController().signal,
    onHangup: () => {},
  };
  const code = await runCommandLine(words, context);
  return { code, stdout, stderr };
}
