import { DEFAULT_TAG_STYLE, type TagStyle } from "../guest/host-facts.ts";

/**
 * Reads `tag-style`, as datacenter.cfg has it ("case-sensitive=1,ordering=config,shape=full") or as the API gives it (a map).
 * Sub-keys about looks are ignored; a value that is neither form is the default.
 */
export function parseTagStyle(style: unknown): TagStyle {
  const read = typeof style === "string" ? splitProperties(style) : new Map<string, unknown>(Object.entries(style ?? {}));
  return { isOrdered: read.get("ordering") === "config", isCaseSensitive: isTrue(read.get("case-sensitive")) };
}

function splitProperties(text: string): Map<string, unknown> {
  return new Map(
    text.split(",").map((part) => {
      const [name = "", ...value] = part.split("=");
      return [name.trim(), value.join("=").trim()];
    }),
  );
}

/** Booleans inside property strings: Proxmox takes on, yes, true and 1 (docs/proxmox.md row 3). */
function isTrue(value: unknown): boolean {
  return value === true || value === 1 || (typeof value === "string" && /^(?:1|on|yes|true)$/i.test(value));
}

/** Keys that /cluster/options gives to a token without Sys.Audit on /; with only these, what else is set cannot be seen. */
const LIMITED_KEYS = new Set(["allowed-tags", "console"]);

/** The tag style in an answer of /cluster/options; null when the token may not see it. */
export function tagStyleOfOptions(options: Readonly<Record<string, unknown>>): TagStyle | null {
  const style = options["tag-style"];
  if (style !== undefined && style !== null) return parseTagStyle(style);
  return Object.keys(options).every((key) => LIMITED_KEYS.has(key)) ? null : DEFAULT_TAG_STYLE;
}
