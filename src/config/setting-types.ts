import * as v from "valibot";
import { parseDuration } from "./duration.ts";

/**
 * The kinds of values a setting may have, each as a schema from the text that was written (in the
 * file, a variable or a flag: all three are text) to the value the agent uses. Messages say what was
 * expected; load.ts adds where and what was found.
 */

/** What a setting is, for documentation and flags. */
export interface SettingFacts {
  /** Placeholder in the help: `<duration>`, `true|false`, … */
  readonly type: string;
  /** As it would be written; undefined: none. */
  readonly default: string | undefined;
  readonly description: string;
}

/** Gives a schema its facts. The table of settings is made of these. */
export function setting<T extends v.GenericSchema<string | undefined, unknown>>(schema: T, facts: SettingFacts) {
  return v.pipe(schema, v.metadata({ ...facts }));
}

/** Milliseconds from `250ms`, `1s`, `10m`, `2h`, `1d`, between two bounds written the same way. */
export function duration(shortest: string, longest: string) {
  const expected = `expected a time from ${shortest} to ${longest}, such as 250ms, 1s, 10m or 2h`;
  const least = parseDuration(shortest) ?? 0;
  const most = parseDuration(longest) ?? Number.POSITIVE_INFINITY;
  return transformed(expected, (text) => {
    const durationMs = parseDuration(text);
    return durationMs === undefined || durationMs < least || durationMs > most ? undefined : durationMs;
  });
}

/** A whole number between two bounds, both included. */
export function wholeNumber(least: number, most: number) {
  return transformed(`expected a whole number from ${least} to ${most}`, (text) => inRange(text, least, most));
}

/** A percentage, with or without the sign. */
export function percent() {
  return transformed("expected a percentage from 0 to 100, such as 20", (text) => inRange(text.replace(/%$/, ""), 0, 100));
}

function inRange(text: string, least: number, most: number): number | undefined {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : undefined;
  return value === undefined || value < least || value > most ? undefined : value;
}

const BOOLEAN_WORDS: ReadonlyMap<string, boolean> = new Map([
  ["true", true], ["yes", true], ["on", true], ["1", true],
  ["false", false], ["no", false], ["off", false], ["0", false],
]);

/** true or false; yes/no, on/off and 1/0 mean the same. */
export function truth() {
  return transformed("expected true or false", (text) => BOOLEAN_WORDS.get(text));
}

/** true, false or auto. */
export function truthOrAuto() {
  return transformed("expected true, false or auto", (text): boolean | "auto" | undefined => (text === "auto" ? "auto" : BOOLEAN_WORDS.get(text)));
}

/** One word of a closed list. */
export function oneOf<const T extends readonly string[]>(words: T) {
  return v.picklist(words, `expected ${words.join(", ").replace(/, ([^,]*)$/, " or $1")}`);
}

/** An absolute path (load.ts has made relative ones absolute), at most `maxBytes` long. */
export function path(maxBytes = 4096) {
  return transformed(`expected a path of at most ${maxBytes} bytes, without ~`, (text) => {
    const isUsable = text.startsWith("/") && !text.includes("\0") && !text.includes("/~");
    return isUsable && Buffer.byteLength(text) <= maxBytes ? text : undefined;
  });
}

/** A Proxmox node's name: a host name without its domain. */
export function nodeName() {
  return v.pipe(v.string(), v.regex(/^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/, "expected a node's name as Proxmox shows it: letters, digits and dashes, without a domain"));
}

/** The origin of Proxmox's API. Plain http would send the token in the clear. */
export function apiUrl() {
  return transformed("expected https://HOST:8006, without user, path or query; the API token is sent to it, so plain http is refused", (text) => {
    const url = URL.parse(text);
    const isOrigin = url?.protocol === "https:" && url.username === "" && url.password === "" && url.pathname === "/" && url.search === "" && url.hash === "";
    return isOrigin ? url.origin : undefined;
  });
}

/** SHA-256 of a certificate: 32 pairs of hex digits, as upper-case pairs with colons between. */
export function certificateFingerprint() {
  const expected = "expected the SHA-256 fingerprint of the certificate: 32 pairs of hex digits such as AB:CD:…, as `openssl x509 -noout -fingerprint -sha256` prints it";
  return transformed(expected, (text) => {
    const hex = text.replace(/^sha256 fingerprint=/i, "");
    return /^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31}$/.test(hex) || /^[0-9A-Fa-f]{64}$/.test(hex) ? (hex.toUpperCase().replaceAll(":", "").match(/../g) ?? []).join(":") : undefined;
  });
}

/** `:9100` (every address), `127.0.0.1:9100`, `[::1]:9100`, `localhost:9100`. Port 0: any free one. */
export function listenAddress() {
  return transformed("expected [ADDRESS]:PORT, such as :9100 (every address), 127.0.0.1:9100 or [::1]:9100", (text) => {
    const match = /^(?:\[([0-9A-Fa-f:.]+)\]|(\d{1,3}(?:\.\d{1,3}){3}|localhost)|):(\d{1,5})$/.exec(text);
    const port = Number(match?.[3] ?? Number.NaN);
    if (match === null || port > 65_535 || !isAddress(match[1], match[2])) return undefined;
    // "::" takes IPv4 connections too.
    return { hostname: match[1] ?? match[2] ?? "::", port };
  });
}

function isAddress(v6: string | undefined, v4: string | undefined): boolean {
  if (v6 !== undefined) return URL.canParse(`http://[${v6}]/`);
  return v4 === undefined || v4 === "localhost" || v4.split(".").every((part) => Number(part) <= 255);
}

function transformed<T>(expected: string, read: (text: string) => T | undefined) {
  return v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }): T => {
      const value = read(dataset.value);
      if (value !== undefined) return value;
      addIssue({ message: expected });
      return NEVER;
    }),
  );
}
