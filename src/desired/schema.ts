import * as v from "valibot";
import { GUEST_KINDS, VMID_MAX, VMID_MIN } from "../guest/key.ts";
import { DESIRED_MODES, DESIRED_RUN_STATES, KEY_NAME, KEY_NAME_LENGTH_MAX } from "./model.ts";

/**
 * How the desired state is written, as schemas. Every message says what was expected; parse.ts adds
 * where and what was found. Descriptions are for editors: the same schemas print as JSON Schema.
 */

/** The only format there is. A later one gets another number, so that no field is ever dropped silently. */
const FORMAT_VERSION = 1;

/** Guests in one file. The largest host planned for runs a few thousand; a file beyond this is a generator gone wrong. */
export const GUESTS_PER_FILE_MAX = 10_000;

/** Fields that will mean something one day: refused by name, so that nobody believes they work already. */
export const RESERVED_GUEST_FIELDS = ["stop", "restart", "create", "bootstrap", "requires", "beforeDestroy", "allowEmptyFrontend"] as const;
export const RESERVED_TOP_FIELDS = ["frontends", "backends", "checks"] as const;

const isMap = (input: unknown): input is Record<string, unknown> =>
  typeof input === "object" && input !== null && !Array.isArray(input);

/** valibot's object schemas take lists for objects; this goes first in their pipes. */
const aMap = (expected: string) => v.custom<Record<string, unknown>>(isMap, expected);

const KeySchema = v.pipe(
  v.string(),
  v.maxLength(KEY_NAME_LENGTH_MAX, `expected a key of at most ${KEY_NAME_LENGTH_MAX} characters`),
  v.regex(KEY_NAME, "expected a Proxmox key: lower-case letters, digits, `_` and `-`, starting with a letter"),
);

const ScalarSchema = v.union([v.string(), v.number(), v.boolean()], "expected text, a number or a boolean");
const ListSchema = v.array(ScalarSchema);
const SubValueSchema = v.union([ScalarSchema, ListSchema, v.null()], "expected text, a number, a boolean, a list of those, or null");
const MapSchema = v.pipe(aMap("expected a map"), v.record(KeySchema, SubValueSchema));
const ConfigValueSchema = v.union([ScalarSchema, ListSchema, MapSchema, v.null()], "expected text, a number, a boolean, a list, a map, or null");

const ConfigSchema = v.pipe(
  aMap("expected a map of Proxmox's own keys, such as `cores: 2`; leave `config` out to manage none"),
  v.record(KeySchema, ConfigValueSchema),
  v.description("Proxmox's own keys. Only what is written here is managed; null: must be absent."),
);

const VMID_EXPECTED = `expected a whole number from ${VMID_MIN} to ${VMID_MAX}, without quotes`;

/** One guest as it is written. */
export const GuestSchema = v.pipe(
  aMap("expected a map with `vmid` and `kind`"),
  v.objectWithRest(
    {
      vmid: v.pipe(
        v.number(VMID_EXPECTED), v.integer(VMID_EXPECTED), v.minValue(VMID_MIN, VMID_EXPECTED), v.maxValue(VMID_MAX, VMID_EXPECTED),
        v.description("The guest's number in Proxmox."),
      ),
      kind: v.pipe(v.picklist(GUEST_KINDS, "expected qemu or lxc"), v.description("qemu: a virtual machine. lxc: a container.")),
      mode: v.optional(
        v.pipe(
          v.picklist(DESIRED_MODES, "expected enforce, observe or ignore"),
          v.description("enforce: differences are mended. observe: they are only reported. ignore: the guest is left alone."),
        ),
        "enforce",
      ),
      state: v.optional(
        v.pipe(
          v.picklist(DESIRED_RUN_STATES, "expected running, stopped or absent; leave `state` out to leave the run state alone"),
          v.description("running, stopped, or absent (destruction, held until it is signed). Left out: not managed."),
        ),
      ),
      config: v.optional(ConfigSchema, {}),
    },
    v.never("expected no such field"),
  ),
);

const GUESTS_EXPECTED = "expected a list of guests; write `guests: []` to declare none";

/** One file as it is written. `version` is judged before anything else: another version may mean everything else differently. */
export const FileSchema = v.pipe(
  aMap("expected a map with `version` and `guests`"),
  v.objectWithRest(
    {
      version: v.pipe(v.literal(FORMAT_VERSION, `expected ${FORMAT_VERSION}, the only format this version reads`), v.description("The format of this file.")),
      guests: v.pipe(
        v.array(GuestSchema, GUESTS_EXPECTED),
        v.maxLength(GUESTS_PER_FILE_MAX, `expected at most ${GUESTS_PER_FILE_MAX} guests a file; split it over several`),
        v.description("The guests this file declares."),
      ),
    },
    v.never("expected no such field"),
  ),
);

/** Only the version, to be judged first. */
export const VersionSchema = v.looseObject({ version: FileSchema.pipe[1].entries.version });

export type WrittenGuest = v.InferOutput<typeof GuestSchema>;
