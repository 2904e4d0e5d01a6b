import type { ParameterValue, Parameters } from "../api.ts";
import { Died } from "./died.ts";
import { PROPERTY_CHECKS, PROPERTY_FORMATS, SCALAR_FORMATS } from "./formats.ts";
import { compareText, isInteger, isNumber, parseBoolean, splitCommas, splitList } from "./perl.ts";
import type { OptionSchema, PropertySchema, SubOptionSchema } from "./schema.ts";

/**
 * Parameter verification as Proxmox's JSONSchema does it, in its order and with its messages: type,
 * format, pattern, lengths, range, enumeration; unknown keys last. Property strings are verified (and
 * parsed) by the same rules, one level down.
 */

/** Verified parameters as Proxmox holds them: text, or null where JSON said null. */
export type Values = Map<string, string | null>;

/** Messages by path ("net0.model"). */
type Errors = Map<string, string>;

const NOT_IN_SCHEMA = "property is not defined in schema and the schema does not allow additional properties";
const MISSING = "property is missing and it is not optional";

/** The parameters as text, or dies with a message for each that does not fit. */
export function verifyParameters(parameters: Parameters, schemaOf: (name: string) => OptionSchema | undefined, required: readonly string[]): Values {
  const errors: Errors = new Map();
  const values: Values = new Map();
  for (const [name, given] of Object.entries(parameters)) {
    const schema = schemaOf(name);
    if (schema === undefined) {
      errors.set(name, NOT_IN_SCHEMA);
      continue;
    }
    const value = plainValue(given, schema);
    if (typeof value === "object" && value !== null) errors.set(name, value.error);
    else {
      if (value !== null) checkProperty(value, schema, name, errors);
      values.set(name, value);
    }
    if (schema.requires !== undefined && !(schema.requires in parameters)) {
      errors.set(schema.requires, `missing property - '${name}' requires this property`);
    }
  }
  for (const name of required) if (!(name in parameters)) errors.set(name, MISSING);
  if (errors.size > 0) throw Died.parameters(Object.fromEntries(errors));
  return values;
}

/** JSON values as Perl sees them; lists are fine where the format is a list. */
function plainValue(given: ParameterValue, schema: OptionSchema): string | null | { readonly error: string } {
  if (given === null || typeof given === "string") return given;
  if (typeof given === "number") return String(given);
  const type = schema.type ?? "string";
  if (typeof given === "boolean") {
    return type === "boolean" ? (given ? "1" : "0") : { error: `type check ('${type}') failed - got JSON::PP::Boolean` };
  }
  const isList = Array.isArray(given);
  if (isList && typeof schema.format === "string" && schema.format.endsWith("-list")) return given.map(String).join("\0");
  return { error: `type check ('${type}') failed - got ${isList ? "ARRAY" : "HASH"}` };
}

function checkProperty(value: string, schema: OptionSchema, path: string, errors: Errors): void {
  const message = typeMessage(value, schema) ?? formatMessage(value, schema, path) ?? boundsMessage(value, schema) ?? enumMessage(value, schema);
  if (message !== undefined) errors.set(path, message);
}

function typeMessage(value: string, schema: OptionSchema): string | undefined {
  const isGood =
    schema.type === "boolean" ? value === "1" || value === "0" : schema.type === "integer" ? isInteger(value) : schema.type === "number" ? isNumber(value) : true;
  return isGood ? undefined : `type check ('${schema.type}') failed - got '${value}'`;
}

function formatMessage(value: string, schema: OptionSchema, path: string): string | undefined {
  if (schema.format === undefined) return undefined;
  const problem = checkFormat(schema.format, value, path);
  return problem === undefined ? undefined : `invalid format - ${problem}`;
}

function boundsMessage(value: string, schema: OptionSchema): string | undefined {
  if (schema.pattern !== undefined && !compiled(schema.pattern).test(value)) return "value does not match the regex pattern";
  if (schema.maxLength !== undefined && [...value].length > schema.maxLength) return `value may only be ${schema.maxLength} characters long`;
  if (schema.minLength !== undefined && [...value].length < schema.minLength) return `value must be at least ${schema.minLength} characters long`;
  if (!isNumber(value)) return undefined;
  if (schema.maximum !== undefined && Number(value) > schema.maximum) return `value must have a maximum value of ${schema.maximum}`;
  if (schema.minimum !== undefined && Number(value) < schema.minimum) return `value must have a minimum value of ${schema.minimum}`;
  return undefined;
}

/** Patterns of the schema, compiled once: there are as many as the schema has. */
const COMPILED = new Map<string, RegExp>();

function compiled(pattern: string): RegExp {
  const known = COMPILED.get(pattern) ?? new RegExp(`^(?:${pattern})$`);
  COMPILED.set(pattern, known);
  return known;
}

function enumMessage(value: string, schema: OptionSchema): string | undefined {
  if (schema.enum === undefined || schema.enum.includes(value)) return undefined;
  return `value '${value}' does not have a value in the enumeration '${schema.enum.join(", ")}'`;
}

/** What is wrong with `value` in this format (Proxmox's text, line end included); undefined when it fits. */
export function checkFormat(format: string | PropertySchema, value: string, path = ""): string | undefined {
  if (typeof format !== "string") return problemOf(parsePropertyString(format, value, path));
  const list = /^(.*)-list$/.exec(format)?.[1];
  if (list !== undefined) return firstProblem(list, splitList(value));
  const properties = PROPERTY_FORMATS[format];
  if (properties === undefined) return SCALAR_FORMATS[format]?.(value);
  const parsed = parsePropertyString(properties, value, path);
  return parsed.ok ? PROPERTY_CHECKS[format]?.(parsed.values) : parsed.problem;
}

function problemOf(parsed: ParsedProperties): string | undefined {
  return parsed.ok ? undefined : parsed.problem;
}

function firstProblem(format: string, items: readonly string[]): string | undefined {
  for (const item of items) {
    const problem = SCALAR_FORMATS[format]?.(item);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

export type ParsedProperties = { readonly ok: true; readonly values: Map<string, string> } | { readonly ok: false; readonly problem: string };

/** Parses "a=1,b=2" by its schema; aliases resolved, booleans as "1" and "0". */
export function parsePropertyString(schema: PropertySchema, text: string, path = ""): ParsedProperties {
  const values = new Map<string, string>();
  const defaultKey = Object.keys(schema).find((key) => schema[key]?.isDefaultKey === true);
  for (const part of splitCommas(text)) {
    const problem = takePart(part, schema, values, defaultKey);
    if (problem !== undefined) return { ok: false, problem };
  }
  const errors = checkProperties(schema, values, path);
  if (errors.size === 0) return { ok: true, values };
  const lines = [...errors].sort(([left], [right]) => compareText(left, right)).map(([key, message]) => `${key}: ${message}\n`);
  return { ok: false, problem: `format error\n${lines.join("")}` };
}

function takePart(part: string, schema: PropertySchema, values: Map<string, string>, defaultKey: string | undefined): string | undefined {
  if (/^\s*$/.test(part)) return undefined;
  const pair = /^([^=]+)=(.+)$/s.exec(part);
  if (pair !== null) return takePair(pair[1] ?? "", pair[2] ?? "", schema, values);
  if (part.includes("=")) return "missing key in comma-separated list property\n";
  if (defaultKey === undefined) return "value without key, but schema does not define a default key\n";
  if (values.has(defaultKey)) return `duplicate key in comma-separated list property: ${defaultKey}\n`;
  values.set(defaultKey, part);
  return undefined;
}

function takePair(name: string, value: string, schema: PropertySchema, values: Map<string, string>): string | undefined {
  if (values.has(name)) return `duplicate key in comma-separated list property: ${name}\n`;
  const named: SubOptionSchema | undefined = Object.hasOwn(schema, name) ? schema[name] : undefined;
  if (named?.keyAlias !== undefined) {
    if (values.has(named.keyAlias)) return `key alias '${named.keyAlias}' is already defined\n`;
    values.set(named.keyAlias, name);
  }
  const key = named?.alias ?? name;
  const option = named?.alias === undefined ? named : schema[named.alias];
  values.set(key, option?.type === "boolean" ? (parseBoolean(value) ?? value) : value);
  return undefined;
}

function checkProperties(schema: PropertySchema, values: ReadonlyMap<string, string>, path: string): Errors {
  const errors: Errors = new Map();
  const at = (key: string): string => (path === "" ? key : `${path}.${key}`);
  for (const [key, option] of Object.entries(schema)) {
    const value = values.get(key);
    if (value !== undefined) checkProperty(value, option, at(key), errors);
    else if (option.optional === undefined && option.alias === undefined) errors.set(at(key), MISSING);
  }
  for (const key of values.keys()) {
    const option = Object.hasOwn(schema, key) ? schema[key] : undefined;
    if (option === undefined) errors.set(at(key), NOT_IN_SCHEMA);
    else if (option.requires !== undefined && !values.has(option.requires)) {
      errors.set(at(option.requires), `missing property - '${at(key)}' requires this property`);
    }
  }
  return errors;
}

/**
 * Prints a property string the way Proxmox reprints one: the default key, required keys, then optional
 * ones, the last two sorted; an aliased key takes its alias's form (`virtio=MAC`) (docs/proxmox.md row 6).
 */
export function printPropertyString(schema: PropertySchema, values: ReadonlyMap<string, string>): string {
  const keys = Object.keys(schema).filter((key) => values.has(key)).sort(compareText);
  const rank = (key: string): number => (schema[key]?.isDefaultKey === true ? 0 : schema[key]?.optional === undefined ? 1 : 2);
  const aliased = Object.values(schema).find((option) => option.keyAlias !== undefined && values.has(option.keyAlias) && values.has(option.alias ?? ""));
  const parts = keys.sort((left, right) => rank(left) - rank(right) || compareText(left, right)).flatMap((key) => {
    const value = values.get(key) ?? "";
    if (key === aliased?.alias) return [];
    if (key === aliased?.keyAlias) return [`${value}=${values.get(aliased.alias ?? "") ?? ""}`];
    return [schema[key]?.isDefaultKey === true ? value : `${key}=${value}`];
  });
  return parts.join(",");
}
