import { writeSync } from "node:fs";

const STANDARD_ERROR = 2;

/**
 * A pipe that nobody empties answers EAGAIN. The log waits this long for it in all and then gives the
 * line up: losing a line is better than an agent that hangs because its log does.
 */
const FULL_PIPE_TRIES = 50;
const FULL_PIPE_WAIT_MS = 1;

/**
 * Writes one line to a descriptor before it returns, because what is buffered is lost when the process
 * ends (process.stderr.write then process.exit drops most of a pipe). A log that cannot be written is
 * given up without a word: there is nowhere left to say it.
 */
export function writeLine(line: string, descriptor: number = STANDARD_ERROR): void {
  const bytes = Buffer.from(`${line}\n`);
  let writtenBytes = 0;
  for (let tries = 0; writtenBytes < bytes.length && tries < FULL_PIPE_TRIES; ) {
    try {
      writtenBytes += writeSync(descriptor, bytes, writtenBytes);
    } catch (error) {
      if (!isPipeFull(error)) return;
      tries++;
      Bun.sleepSync(FULL_PIPE_WAIT_MS);
    }
  }
}

function isPipeFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "EAGAIN" || error.code === "EINTR");
}
