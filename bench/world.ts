import type { BenchWorld } from "../src/bench/journal-load.ts";
import { SystemClock } from "../src/runtime/clock.ts";
import { createFileSystem } from "../src/runtime/file-system.ts";
import { SystemRandom } from "../src/runtime/random.ts";

/** Clock, randomness and files as they are. */
export const realWorld: BenchWorld = { clock: new SystemClock(), random: new SystemRandom(), fileSystem: createFileSystem() };
