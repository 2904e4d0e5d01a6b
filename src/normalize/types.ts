import type { DeclaredValue } from "../guest/declared.ts";
import type { PveVersion, TagStyle } from "../guest/host-facts.ts";
import type { GuestKind } from "../guest/key.ts";
import type { RawConfig, RawValue } from "../guest/observed.ts";
import type { Result } from "../ports/errors.ts";

/**
 * The contract of the room: two values mean the same to Proxmox exactly when their normal forms are
 * equal. `null` is "absent, or equal to absent". Normal forms are text so that comparing is cheap.
 */
export type NormalForm = string | null;

/** What a normalizer may know besides the value. */
export interface NormalizeContext {
  readonly kind: GuestKind;
  readonly tagStyle: TagStyle;
  readonly pveVersion: PveVersion;
  /** What Proxmox has behind the same key now (pending-merged view); undefined when absent. */
  readonly observed: RawValue | undefined;
  /**
   * The guest's other values in the same view, for the few fields whose default is another field's
   * value (balloon, vcpus, localtime). Left out: such a default is not recognised, which costs one
   * harmless write and never hides a difference.
   */
  readonly siblings?: RawConfig;
}

/** One catalogue entry: how the values behind a key are read, compared and written. */
export interface FieldNormalizer {
  /** The normal form of a raw value as Proxmox holds it. Total: text that cannot be parsed is its own normal form. */
  normalize(raw: RawValue, context: NormalizeContext): NormalForm;
  /**
   * What Proxmox should hold: `declared` laid over `context.observed`. Sub-keys that are not declared
   * keep what they have, a null sub-key is left out, a hardware address is never lost. `null`: the key
   * must be absent. `normalize.invalid` when the declared value cannot be written for this key.
   */
  merge(declared: DeclaredValue, context: NormalizeContext): Result<string | null>;
}
