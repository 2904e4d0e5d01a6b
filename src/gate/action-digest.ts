import { isSecretKey } from "../plan/keys.ts";
import type { Action } from "../plan/types.ts";

/**
 * What makes two planned acts the same act to a reader of the journal: guest, kind of act, keys and
 * the values to be sent. Not the config digest nor what was found, or each unrelated edit would be a
 * new verdict. SHA-256, hex; a secret's value is left out, for it could be guessed from its hash.
 */
export function actionDigest(action: Action): string {
  const parts: unknown[] = [action.type, action.guest.kind, action.guest.vmid];
  if (action.type === "set_config") {
    const changes = action.changes.map((change) => [change.key, change.change, isSecretKey(change.key) ? null : (change.send ?? null)]);
    parts.push(changes.toSorted((left, right) => (String(left[0]) < String(right[0]) ? -1 : 1)));
  }
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(parts)).digest("hex");
}
