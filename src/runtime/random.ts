import { randomBytes } from "node:crypto";
import type { Random } from "../ports/random.ts";

/** The machine's randomness. `bytes` is fit for keys and nonces; `fraction` is for jitter only. */
export class SystemRandom implements Random {
  fraction(): number {
    return Math.random();
  }

  bytes(sizeBytes: number): Uint8Array {
    return new Uint8Array(randomBytes(sizeBytes));
  }
}
