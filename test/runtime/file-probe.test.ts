import { expect, test } from "bun:test";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FileProbe } from "../../src/runtime/file-probe.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { scratchDirectory } from "../support/temporary-directory.ts";

test("a file that is there answers, and so does one that is missing", async () => {
  using directory = scratchDirectory();
  await writeFile(join(directory.path, "there"), "text");
  for (const name of ["there", "missing"]) {
    const probe = new FileProbe(join(directory.path, name), new FakeClock());
    expect([await probe.answers(), await probe.answers()]).toEqual([true, true]);
  }
});

test("one that hangs does not, is not asked a second time, and answers once it can be read", async () => {
  using directory = scratchDirectory();
  // Opening a pipe that nobody writes to hangs, as reading from a hung file system does.
  const pipe = join(directory.path, "pipe");
  expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
  const clock = new FakeClock();
  const probe = new FileProbe(pipe, clock);
  const first = probe.answers();
  await clock.advance(2_000);
  expect(await first).toBe(false);
  expect(await probe.answers()).toBe(false);
  await writeFile(pipe, "text");
  await rm(pipe);
  await writeFile(pipe, "text");
  while (!(await probe.answers())) await Bun.sleep(1);
});
