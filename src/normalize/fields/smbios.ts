import { BOOLEAN_OFF, canonicalBoolean } from "../booleans.ts";
import { propertyField } from "../property-field.ts";
import { subKeys } from "../property-format.ts";
import { valueOf, type Property } from "../property-string.ts";
import { TEXT, matchingLower } from "../text-rules.ts";

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TEXT_FIELDS = new Set(["family", "manufacturer", "product", "serial", "sku", "version"]);
/** What Proxmox takes as it stands; anything else needs base64=1. */
const PLAIN = /^[A-Za-z0-9+/]+={0,2}$/;

/** smbios1: fields plain or, with base64=1, each encoded; the UUID's case has no meaning (docs/proxmox.md row 61). */
export const SMBIOS = propertyField({
  subKeys: subKeys({
    base64: BOOLEAN_OFF,
    uuid: matchingLower(UUID, "a UUID"),
    family: TEXT,
    manufacturer: TEXT,
    product: TEXT,
    serial: TEXT,
    sku: TEXT,
    version: TEXT,
  }),
  isGuarded: true,
  expand: decodeFields,
  contract: encodeFields,
});

function decodeFields(properties: Property[]): Property[] {
  if (!isEncoded(properties)) return properties;
  const decoded = properties
    .filter(({ key }) => key !== "base64")
    .map((property) => (TEXT_FIELDS.has(property.key) ? { key: property.key, value: Buffer.from(property.value, "base64").toString("utf8") } : property));
  // What does not come back as it was (it is not base64, or not text) is left alone.
  const isFaithful = decoded.every(({ key, value }) => !TEXT_FIELDS.has(key) || encode(value) === valueOf(properties, key));
  return isFaithful ? decoded : properties;
}

function encodeFields(properties: readonly Property[]): readonly Property[] {
  if (isEncoded(properties) || properties.every(({ key, value }) => !TEXT_FIELDS.has(key) || PLAIN.test(value))) return properties;
  const encoded = properties.filter(({ key }) => key !== "base64").map((property) => (TEXT_FIELDS.has(property.key) ? { key: property.key, value: encode(property.value) } : property));
  return [{ key: "base64", value: "1" }, ...encoded];
}

function isEncoded(properties: readonly Property[]): boolean {
  return canonicalBoolean(valueOf(properties, "base64") ?? "0") === "1";
}

function encode(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}
