import type { DeclaredValue } from "../../guest/declared.ts";
import { ok, type Result } from "../../ports/errors.ts";
import { invalid } from "../invalid.ts";
import { formOf, readProperties, writeProperties, type PropertyFormat } from "../property-format.ts";
import { overlay, readDeclared, type Declared } from "../property-merge.ts";
import { valueOf, type Property } from "../property-string.ts";
import type { FieldNormalizer, NormalForm, NormalizeContext } from "../types.ts";
import { textOf } from "../value-rule.ts";
import { allocationText, formOfPlace, holdsData, placeOf, type DrivePlace } from "./drive-place.ts";

/** The sub-key of the volume, whatever its name is for this kind of drive; `file` is an alias. */
export const VOLUME = "volume";

/**
 * A key that holds a volume: compared by storage, size and options, never by the volume's name
 * (docs/proxmox.md rows 30 to 45). What is in a slot stays in it: merging never asks Proxmox to
 * allocate where something is, and never drops an option nobody declared away.
 * @param format options; `storage` must be among its sub-keys, for the map form
 */
export function driveField(format: PropertyFormat): FieldNormalizer {
  return {
    normalize: (raw, context) => normalizeDrive(textOf(raw), format, context),
    merge: (declared, context) => mergeDrive(declared, format, context),
  };
}

function normalizeDrive(text: string, format: PropertyFormat, context: NormalizeContext): NormalForm {
  if (text === "") return null;
  const properties = readProperties(text, format);
  const file = properties === undefined ? undefined : valueOf(properties, VOLUME);
  if (properties === undefined || file === undefined) return text;
  const place = placeOf(file);
  const options = properties.filter(({ key, value }) => key !== VOLUME && isCompared(key, value, place));
  const sized = place.type === "allocation" ? [...options.filter(({ key }) => key !== "size"), { key: "size", value: place.size }] : options;
  return formOf([{ key: VOLUME, value: formOfPlace(place) }, ...sized], format, context);
}

// Proxmox derives the size of what it put there itself, and drops `format` after allocation (rows 34, 35, 39, 40).
function isCompared(key: string, value: string, place: DrivePlace): boolean {
  if (key === "format" || key === "import-from" || key === "storage") return false;
  if (key === "size") return holdsData(place);
  return !(key === "media" && value === "cdrom" && place.type === "cloudinit");
}

function mergeDrive(declared: DeclaredValue, format: PropertyFormat, context: NormalizeContext): Result<string | null> {
  if (declared === null) return ok(null);
  if (typeof declared === "string" && declared === context.observed) return ok(declared);
  const read = readDeclared(declared, format);
  if (!read.ok) return read;
  const text = textOf(context.observed);
  if (text === "") return newDrive(read.value, format, context);
  const current = readProperties(text, format);
  const file = current === undefined ? undefined : valueOf(current, VOLUME);
  if (current === undefined || file === undefined) {
    return invalid("", "what is in the slot to be readable", text, "correct it on the host first, so that nothing in it is lost");
  }
  return existingDrive(read.value, { current, file }, format, context);
}

/** An empty slot: what is declared becomes a request for a volume, or names one. */
function newDrive(declared: Declared, format: PropertyFormat, context: NormalizeContext): Result<string | null> {
  const { wanted } = declared;
  if (wanted.length === 0) return ok(null);
  const storage = valueOf(wanted, "storage");
  const size = valueOf(wanted, "size");
  const isImported = valueOf(wanted, "import-from") !== undefined;
  const volume = valueOf(wanted, VOLUME) ?? (storage === undefined ? undefined : allocationText(storage, isImported ? "0" : size));
  if (volume === undefined) return invalid("", "a storage and a size (the slot is empty)", Object.fromEntries(wanted.map(({ key, value }) => [key, value])), "declare both");
  const isAllocated = placeOf(volume).type === "allocation";
  const options = wanted.filter(({ key }) => key !== VOLUME && key !== "storage" && !(isAllocated && key === "size"));
  const laid = overlay([], { wanted: [{ key: VOLUME, value: volume }, ...options], unwanted: declared.unwanted }, format, context);
  return laid.ok ? ok(writeProperties(laid.value.properties, format)) : laid;
}

interface Slot {
  readonly current: readonly Property[];
  readonly file: string;
}

/** Sub-keys that have a meaning only while a volume is made. */
const ONLY_AT_CREATION = new Set(["format", "import-from", "storage", VOLUME]);

function existingDrive(declared: Declared, slot: Slot, format: PropertyFormat, context: NormalizeContext): Result<string | null> {
  const there = placeOf(slot.file);
  const wantedFile = valueOf(declared.wanted, VOLUME) ?? valueOf(declared.wanted, "storage");
  const wanted = wantedFile === undefined ? there : placeOf(wantedFile);
  const conflict = conflictOf(wanted, there);
  if (conflict !== undefined) return conflict;
  const isSwapped = !holdsData(there) && formOfPlace(wanted) !== formOfPlace(there);
  const current = isSwapped ? withOther(slot.current, wantedFile ?? slot.file) : slot.current;
  const options = declared.wanted.filter(({ key, value }) => !ONLY_AT_CREATION.has(key) && isCompared(key, value, wanted));
  const sized = wanted.type === "allocation" ? [...options, { key: "size", value: wanted.size }] : options;
  const unwanted = declared.unwanted.filter((key) => key !== "size" && !ONLY_AT_CREATION.has(key));
  const laid = overlay(current, { wanted: sized, unwanted }, format, context);
  if (!laid.ok) return laid;
  return ok(isSwapped || laid.value.isChanged ? writeProperties(laid.value.properties, format) : String(context.observed));
}

/** Another medium in a CD drive; the size was the old one's. */
function withOther(current: readonly Property[], file: string): Property[] {
  return current.filter(({ key }) => key !== "size").map((property) => (property.key === VOLUME ? { key: VOLUME, value: file } : property));
}

/** Declaring another place for what holds data is a move or a replacement: not something to write into a config. */
function conflictOf(wanted: DrivePlace, there: DrivePlace): ReturnType<typeof invalid> | undefined {
  if (holdsData(there)) {
    if (holdsData(wanted) && formOfPlace(wanted) === formOfPlace(there)) return undefined;
    return invalid("", `what is there to stay on ${formOfPlace(there)}`, formOfPlace(wanted), "move the volume with Proxmox, or declare where it is");
  }
  if (!holdsData(wanted)) return undefined;
  return invalid("", "an empty slot for a new volume", formOfPlace(there), "take the CD drive out of this slot first, or declare another slot");
}
