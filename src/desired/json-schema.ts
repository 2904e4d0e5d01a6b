import * as v from "valibot";
import { GUEST_KINDS, VMID_MAX, VMID_MIN, type GuestKind } from "../guest/key.ts";
import { configJsonSchema, type JsonSchema } from "../parameters/json-schema.ts";
import { DESIRED_MODES, DESIRED_RUN_STATES } from "./model.ts";
import { FileSchema, GuestSchema, GUESTS_PER_FILE_MAX } from "./schema.ts";

/**
 * The desired state as JSON Schema (draft 7), for editors. `noteOf` adds what else is worth knowing of a
 * config key, such as that it is never written by itself.
 */
export function desiredJsonSchema(noteOf: (kind: GuestKind, key: string) => string): JsonSchema {
  const byKind = GUEST_KINDS.map((kind) => configJsonSchema(kind, (key) => noteOf(kind, key)));
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Steward desired state",
    type: "object",
    required: ["version", "guests"],
    properties: {
      version: { const: 1, ...described(FileSchema.pipe[1].entries.version) },
      guests: {
        ...described(FileSchema.pipe[1].entries.guests),
        type: "array",
        maxItems: GUESTS_PER_FILE_MAX,
        // One form a kind, told apart by `kind`: an editor then completes the keys of that kind.
        items: { oneOf: GUEST_KINDS.map((kind, index) => guestSchema(kind, byKind[index]?.config ?? {})) },
      },
    },
    additionalProperties: false,
    definitions: Object.assign({}, ...byKind.map(({ definitions }) => definitions)) as JsonSchema,
  };
}

function guestSchema(kind: GuestKind, config: JsonSchema): JsonSchema {
  const { entries } = GuestSchema.pipe[1];
  return {
    type: "object",
    required: ["vmid", "kind"],
    properties: {
      vmid: { type: "integer", minimum: VMID_MIN, maximum: VMID_MAX, ...described(entries.vmid) },
      kind: { const: kind, ...described(entries.kind) },
      mode: { enum: DESIRED_MODES, default: "enforce", ...described(entries.mode.wrapped) },
      state: { enum: DESIRED_RUN_STATES, ...described(entries.state.wrapped) },
      config: { ...described(entries.config.wrapped), ...config },
    },
    additionalProperties: false,
  };
}

/** A field's description, as the schema that reads it has it. */
function described(schema: v.GenericSchema): { readonly description: string } {
  return { description: v.getDescription(schema) ?? "" };
}
