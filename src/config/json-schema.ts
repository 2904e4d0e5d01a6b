import { SETTINGS, type Setting } from "./settings.ts";

/** The agent's settings as JSON Schema (draft 7), from the one table of settings. For editors; load.ts decides. */
export function settingsJsonSchema(): Readonly<Record<string, unknown>> {
  const root = emptyMap();
  for (const setting of SETTINGS) place(root, setting.key.split("."), setting);
  return { $schema: "http://json-schema.org/draft-07/schema#", title: "Settings of Steward's agent", ...asSchema(root) };
}

interface MapNode {
  /** The setting that has this very name, where there is one (`proxmox.tls` beside `proxmox.tls.caFile`). */
  own: Setting | undefined;
  readonly entries: Map<string, MapNode>;
}

function emptyMap(): MapNode {
  return { own: undefined, entries: new Map() };
}

function place(node: MapNode, [name, ...rest]: readonly string[], setting: Setting): void {
  if (name === undefined) {
    node.own = setting;
    return;
  }
  const entry = node.entries.get(name) ?? emptyMap();
  node.entries.set(name, entry);
  place(entry, rest, setting);
}

function asSchema({ own, entries }: MapNode): Readonly<Record<string, unknown>> {
  if (own !== undefined && entries.size === 0) return valueSchema(own);
  const map = { type: "object", properties: Object.fromEntries([...entries].map(([name, node]) => [name, asSchema(node)])), additionalProperties: false };
  return own === undefined ? map : { description: own.description, anyOf: [valueSchema(own), map] };
}

const TRUTH = { anyOf: [{ type: "boolean" }, { enum: [0, 1, "yes", "no", "on", "off", "true", "false", "0", "1"] }] } as const;

function valueSchema({ type, default: byDefault, description }: Setting): Readonly<Record<string, unknown>> {
  const about = { description: byDefault === undefined ? description : `${description} Default: ${byDefault}.` };
  switch (type) {
    case "true|false":
      return { ...about, ...TRUTH };
    case "true|false|auto":
      return { ...about, anyOf: [...TRUTH.anyOf, { const: "auto" }] };
    case "number":
    case "percent":
      return { ...about, type: ["number", "string"], pattern: "^[0-9]{1,9}%?$" };
    case "duration":
      return { ...about, type: "string", pattern: "^[0-9]{1,12}(?:\\.[0-9]{1,3})?(?:ms|s|m|h|d)$", examples: ["250ms", "30s", "10m"] };
    case "address":
      return { ...about, type: ["string", "number"] };
    default:
      return /^[a-z]+(?:\|[a-z]+)*$/.test(type) && (type.includes("|") || type === "auto") ? { ...about, enum: type.split("|") } : { ...about, type: "string" };
  }
}
