import { describe, expect, test } from "bun:test";
import { Committer, type Submission } from "../../src/journal/committer.ts";
import { HealthHolder } from "../../src/journal/health.ts";
import { DEFAULT_LIMITS } from "../../src/journal/limits.ts";
import { SpareFile } from "../../src/journal/reserve.ts";
import { SegmentWriter } from "../../src/journal/segment-writer.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryFileSystem } from "../support/memory-file-system.ts";
import { DIRECTORY, SeededRandom } from "./journal-fixture.ts";

/** One committer on a segment of its own; counts the syncs that are under way at the same time. */
async function committerOf(): Promise<{ readonly committer: Committer; readonly disk: Disk }> {
  const fileSystem = new MemoryFileSystem();
  fileSystem.makeDirectory("/state", 0o700);
  fileSystem.makeDirectory(DIRECTORY, 0o700);
  const header = {
    node: "pve1", machineId: "machine-1", directoryInode: 1, salt: "00112233445566778899aabbccddeeff", firstSequence: 1,
    previousHead: "0".repeat(64), createdAt: "2026-01-01T00:00:00.000Z", version: "0.1.0",
  };
  const created = await SegmentWriter.create(fileSystem, DIRECTORY, header, ['{"k":"first"}']);
  if (!created.ok) throw new Error(created.error.message);
  const committer = new Committer({
    limits: DEFAULT_LIMITS, health: new HealthHolder(), spare: new SpareFile(fileSystem, DIRECTORY, 64, new SeededRandom(1)),
    openCount: () => 0, afterBatch: () => undefined, clock: new FakeClock(), onSync: () => undefined,
  });
  committer.use(created.writer);
  return { committer, disk: new Disk(fileSystem) };
}

class Disk {
  underWay = 0;
  most = 0;
  isSlow = false;

  constructor(fileSystem: MemoryFileSystem) {
    fileSystem.beforeSync = () => (this.isSlow ? this.#wait() : undefined);
  }

  async #wait(): Promise<void> {
    this.underWay += 1;
    this.most = Math.max(this.most, this.underWay);
    await new Promise((resolve) => setImmediate(resolve));
    this.underWay -= 1;
  }
}

function submissionOf(name: string, settled: string[], then: () => void = () => {}): Submission {
  const body = JSON.stringify({ k: name });
  const settle: Submission["settle"] = (result) => {
    settled.push(`${name} ${result.ok}`);
    then();
  };
  return { bodies: [body], sizeBytes: body.length, isOutcome: false, settle };
}

describe("whoever submits while being told of an earlier outcome", () => {
  for (const isLast of [true, false]) {
    test(`is committed${isLast ? "" : ", and so is who comes after"}; never two batches at the same time`, async () => {
      const { committer, disk } = await committerOf();
      const settled: string[] = [];
      committer.submit(submissionOf("a", settled, () => {
        disk.isSlow = true;
        committer.submit(submissionOf("b", settled));
      }));
      expect(settled).toEqual(["a true"]);
      await Promise.resolve();
      if (!isLast) committer.submit(submissionOf("c", settled));
      await committer.drain();
      expect(settled.toSorted()).toEqual(isLast ? ["a true", "b true"] : ["a true", "b true", "c true"]);
      expect(disk.most).toBe(1);
      expect(committer.writer?.head.sequence).toBe(isLast ? 3 : 4);
    });
  }
});
