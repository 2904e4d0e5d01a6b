import { type ConfigProblem, formatOrigin, type Layer, problemCode, type Written } from "./layers.ts";
import { SETTINGS, type SettingKey } from "./settings.ts";

/** What was chosen for every setting that has a value, and what does not go together. */
export interface Choice {
  readonly chosen: ReadonlyMap<SettingKey, Written>;
  readonly problems: readonly ConfigProblem[];
}

const TLS_KEYS = ["proxmox.tls", "proxmox.tls.caFile", "proxmox.tls.fingerprint"] as const;

/** One value a setting, from the last layer that has one. `layers` go from weakest to strongest. */
export function chooseSettings(layers: readonly Layer[]): Choice {
  const chosen = new Map<SettingKey, Written>();
  for (const { key } of SETTINGS) {
    const written = layers.map((layer) => layer.get(key)).findLast((value) => value !== undefined);
    if (written !== undefined) chosen.set(key, written);
  }
  const problems = [...settleTls(layers, chosen), ...settleDesired(layers, chosen), ...refuseTokenAsPath(chosen)];
  return { chosen, problems };
}

/** The three ways to trust are one choice: the strongest layer that makes it makes it whole. */
function settleTls(layers: readonly Layer[], chosen: Map<SettingKey, Written>): ConfigProblem[] {
  const deciding = layers.findLast((layer) => TLS_KEYS.some((key) => layer.has(key)));
  for (const key of TLS_KEYS) if (deciding?.has(key) !== true) chosen.delete(key);
  const given = TLS_KEYS.map((key) => chosen.get(key)).filter((written) => written !== undefined);
  const problems: ConfigProblem[] = [];
  if (given.length > 1) {
    const places = given.map((written) => formatOrigin(written.origin)).join(" and ");
    const [first] = given;
    problems.push({ code: problemCode("config.schema", first?.origin ?? { from: "default" }), message: `${places}: proxmox.tls: expected one of auto, caFile and fingerprint, found ${given.length}; remove the others` });
  }
  const word = chosen.get("proxmox.tls");
  if (word !== undefined && word.text !== "auto") {
    problems.push({ code: problemCode("config.insecure", word.origin), message: `${formatOrigin(word.origin)}: proxmox.tls: expected auto, { caFile: PATH } or { fingerprint: "AB:CD:…" }, found ${JSON.stringify(word.text)}; there is no way to trust any certificate, because the API token would go to whoever answers` });
    chosen.delete("proxmox.tls");
  }
  return problems;
}

/** A directory needs a path. A path that a weaker layer left behind does not matter to `empty`; one said along with it does. */
function settleDesired(layers: readonly Layer[], chosen: Map<SettingKey, Written>): ConfigProblem[] {
  const source = chosen.get("desired.source");
  const path = chosen.get("desired.path");
  if (source?.text === "directory" && path === undefined) {
    return [{ code: problemCode("config.schema", source.origin), message: `${formatOrigin(source.origin)}: desired.source: expected desired.path beside \`directory\`, found none; say which directory` }];
  }
  if (source?.text !== "empty" || path === undefined) return [];
  const sourceStrength = layers.findLastIndex((layer) => layer.has("desired.source"));
  const pathStrength = layers.findLastIndex((layer) => layer.has("desired.path"));
  if (pathStrength >= sourceStrength) {
    return [{ code: problemCode("config.schema", path.origin), message: `${formatOrigin(path.origin)}: desired.path: expected desired.source \`directory\` beside it, found \`empty\`; set desired.source to directory, or remove the path` }];
  }
  chosen.delete("desired.path");
  return [];
}

/** Someone puts the token where its file belongs sooner or later; a message about the missing file would print it. */
function refuseTokenAsPath(chosen: Map<SettingKey, Written>): ConfigProblem[] {
  const written = chosen.get("proxmox.tokenFile");
  if (written === undefined || !/@[^/]*![^/]*=/.test(written.text)) return [];
  chosen.delete("proxmox.tokenFile");
  return [{ code: problemCode("config.insecure", written.origin), message: `${formatOrigin(written.origin)}: proxmox.tokenFile: expected the path of a file that holds the API token, found the token itself; put it into a file with mode 0600, and replace it if others could read it here` }];
}
