/** Randomness comes in through this interface; simulations give a seeded one and print the seed. */
export interface Random {
  /** A number in [0, 1). For jitter. */
  fraction(): number;
  /** `sizeBytes` bytes, unpredictable in the real implementation. For ids, salts and nonces. */
  bytes(sizeBytes: number): Uint8Array;
}
