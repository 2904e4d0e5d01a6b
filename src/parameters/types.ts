/**
 * What Proxmox's own parameter schema says of a config key, as far as a value can be judged by it.
 * Sub-keys of a property string are described the same way.
 */
export interface Parameter {
  readonly type: "boolean" | "integer" | "number" | "string";
  readonly enum?: readonly string[];
  /** Matches the whole value. */
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  /** The name of a format, or the sub-keys of a property string. */
  readonly format?: string | Readonly<Record<string, SubParameter>>;
}

export interface SubParameter extends Partial<Parameter> {
  /** Its value may stand without its name, at most once. */
  readonly isDefaultKey?: boolean;
  /** Another name of this sub-key. */
  readonly alias?: string;
  /** With `alias`: the name itself is the value of that sub-key (`virtio=AA:…`). */
  readonly keyAlias?: string;
}

export type SubParameters = Readonly<Record<string, SubParameter>>;
