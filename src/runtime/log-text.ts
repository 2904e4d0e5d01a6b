/**
 * What a logged value may look like: bounded in depth and size, without control characters, and with
 * anything that is shaped like a Proxmox API token blotted out. Pure.
 */

const MAX_DEPTH = 6;
const MAX_ENTRIES = 100;
const MAX_TEXT_CHARACTERS = 8_000;

/** The secret half of a token: `user@realm!name=uuid` in files and headers (some tools write a colon). */
const TOKEN_SECRET = /(![A-Za-z][A-Za-z0-9._-]*[=:])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;

/**
 * Controls, invisible format characters (those that turn the direction of text around among them) and
 * the line and paragraph separators: all can make a terminal or a viewer show something that was not logged.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Replaces the secret of everything shaped like an API token. */
export function redactSecrets(text: string): string {
  return text.replace(TOKEN_SECRET, "$1[redacted]");
}

/** Writes unsafe characters as \uXXXX, which inside a JSON string means the same character. */
export function escapeControls(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const units = Array.from({ length: character.length }, (_, position) => character.charCodeAt(position));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
  });
}

/**
 * A copy of `value` that JSON can hold: errors and faults with their causes, big integers as text, maps
 * and sets as their entries, cycles and depths named instead of followed, everything bounded.
 */
export function printable(value: unknown): unknown {
  return shape(value, 0, []);
}

function shape(value: unknown, depth: number, ancestors: readonly object[]): unknown {
  switch (typeof value) {
    case "string":
      return shorten(redactSecrets(value));
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "boolean":
    case "undefined":
      return value;
    case "bigint":
      return value.toString();
    case "symbol":
    case "function":
      return `[${typeof value}]`;
    case "object":
      return value === null ? null : shapeObject(value, depth, ancestors);
  }
}

function shapeObject(value: object, depth: number, ancestors: readonly object[]): unknown {
  if (ancestors.includes(value)) return "[circular]";
  if (depth >= MAX_DEPTH) return "[too deep]";
  const inner = (child: unknown): unknown => shape(child, depth + 1, [...ancestors, value]);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "[invalid date]" : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Error) return shapeError(value, inner);
  if (value instanceof Map) return bounded([...value].map(([key, child]) => [String(key), inner(child)] as const));
  if (value instanceof Set) return boundedList([...value], inner);
  if (Array.isArray(value)) return boundedList(value, inner);
  return bounded(readableEntries(value).map(([key, child]) => [key, inner(child)] as const));
}

function shapeError(error: Error, inner: (child: unknown) => unknown): unknown {
  const code = "code" in error ? { code: inner(error.code) } : {};
  const cause = error.cause === undefined ? {} : { cause: inner(error.cause) };
  return { name: error.name, message: inner(error.message), ...code, ...cause };
}

/** Own values; a getter that throws is named, because logging must never be what fails. */
function readableEntries(value: object): readonly (readonly [string, unknown])[] {
  return Object.keys(value).map((key) => {
    try {
      return [key, Reflect.get(value, key)] as const;
    } catch {
      return [key, "[unreadable]"] as const;
    }
  });
}

function bounded(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const kept = entries.slice(0, MAX_ENTRIES);
  const left = entries.length - kept.length;
  return Object.fromEntries(left > 0 ? [...kept, ["…", `${left} more`]] : kept);
}

function boundedList(items: readonly unknown[], inner: (child: unknown) => unknown): readonly unknown[] {
  const kept = items.slice(0, MAX_ENTRIES).map(inner);
  const left = items.length - kept.length;
  return left > 0 ? [...kept, `… ${left} more`] : kept;
}

function shorten(text: string): string {
  return text.length <= MAX_TEXT_CHARACTERS ? text : `${text.slice(0, MAX_TEXT_CHARACTERS)}… (${text.length - MAX_TEXT_CHARACTERS} more)`;
}
