import { SETTINGS, type SettingKey } from "./settings.ts";

/** Every setting's variable begins with this. */
export const VARIABLE_PREFIX = "STEWARD_";

/** Variables with the prefix that are not settings: the path of the configuration file itself. */
export const OTHER_VARIABLES: readonly string[] = ["STEWARD_CONFIG"];

/** `proxmox.requestTimeout` → `STEWARD_PROXMOX_REQUEST_TIMEOUT`. */
export function variableOf(key: SettingKey): string {
  return VARIABLE_PREFIX + words(key).join("_").toUpperCase();
}

/** `proxmox.requestTimeout` → `--proxmox-request-timeout`. */
export function flagOf(key: SettingKey): string {
  return `--${words(key).join("-")}`;
}

/** A setting as a command-line option. */
export interface ConfigFlag {
  readonly key: SettingKey;
  /** For commander: `--proxmox-request-timeout <duration>`; true/false settings may stand without a value. */
  readonly flag: string;
  /** The property commander gives the value under: `proxmoxRequestTimeout`. */
  readonly attribute: string;
  readonly description: string;
}

/** All settings as command-line options, in the order of the file. */
export function configFlags(): readonly ConfigFlag[] {
  return SETTINGS.map((setting) => ({
    key: setting.key,
    flag: `${flagOf(setting.key)} ${setting.type === "true|false" ? "[true|false]" : `<${setting.type}>`}`,
    attribute: attributeOf(setting.key),
    description: setting.default === undefined ? setting.description : `${setting.description} (default: ${setting.default})`,
  }));
}

/** The settings among commander's parsed options, as `loadConfig` takes them. A bare `--dry-run` is "true". */
export function flagValues(options: Readonly<Record<string, unknown>>): Partial<Record<SettingKey, string>> {
  const values: Partial<Record<SettingKey, string>> = {};
  for (const { key } of SETTINGS) {
    const value = options[attributeOf(key)];
    if (typeof value === "string" || typeof value === "boolean") values[key] = String(value);
  }
  return values;
}

function attributeOf(key: SettingKey): string {
  return words(key).map((word, index) => (index === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1))).join("");
}

/** `proxmox.tls.caFile` → proxmox, tls, ca, file. */
function words(key: SettingKey): string[] {
  return key.replace(/[A-Z]/g, (letter) => `.${letter.toLowerCase()}`).split(".");
}
