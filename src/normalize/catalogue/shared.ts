import { BOOLEAN_OFF } from "../booleans.ts";
import { DESCRIPTION } from "../fields/description.ts";
import { STARTUP } from "../fields/starting.ts";
import { TAGS } from "../fields/tags.ts";
import { scalarField } from "../scalar-field.ts";
import { UNQUOTED_TEXT, oneOf } from "../text-rules.ts";
import { field, fields, type CatalogueEntry } from "./entry.ts";

const LOCKS = [
  "backup", "clone", "create", "destroyed", "disk", "fstrim", "migrate", "mounted", "rollback", "snapshot", "snapshot-delete",
  "suspended", "suspending",
];

/** Keys that mean the same to VMs and containers. */
export const SHARED: readonly CatalogueEntry[] = [
  field("description", DESCRIPTION),
  field("hookscript", scalarField(UNQUOTED_TEXT)),
  field("lock", scalarField(oneOf(LOCKS))),
  field("onboot", scalarField(BOOLEAN_OFF)),
  field("protection", scalarField(BOOLEAN_OFF)),
  field("startup", STARTUP),
  field("tags", TAGS),
  field("template", scalarField(BOOLEAN_OFF)),
  // A detached volume: never drift by itself, and only ever declared to be rid of it (docs/proxmox.md row 43).
  fields("unused", 256, scalarField(UNQUOTED_TEXT)),
];
