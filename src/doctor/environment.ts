import type { EnvironmentFacts } from "./facts.ts";
import type { Check } from "./check.ts";
import { broken, fine, warn, type Judgement } from "./finding.ts";

/**
 * Environment variables that make the binary something else than it is, or make it trust or tell what
 * it should not. What each does was tried out with the compiled binary.
 */
interface Subverting {
  readonly does: string;
  /**
   * "runs": other code runs with the agent's rights before its first line. "changes": the runtime works
   * otherwise. "dropped": the agent drops it at start (src/main.ts), so it is a trap for other programs only.
   */
  readonly effect: "runs" | "changes" | "dropped";
}

const runs = (does: string): Subverting => ({ does, effect: "runs" });
const changes = (does: string): Subverting => ({ does, effect: "changes" });
const dropped = (does: string): Subverting => ({ does, effect: "dropped" });

const ELSEWHERE = "sends requests, with the API token in them, through another machine";

/** By name; names that end in "_" stand for every variable that begins so. */
export const SUBVERTING: Readonly<Record<string, Subverting>> = {
  BUN_OPTIONS: runs("gives the runtime options before the agent starts: --preload=FILE runs that file's code first"),
  BUN_BE_BUN: runs("makes the binary a plain JavaScript runtime that runs whatever it is given"),
  BUN_JSC_: changes("changes how the JavaScript engine works, down to running without its compiler"),
  LD_PRELOAD: runs("loads another library into the process before anything else, with the agent's rights"),
  LD_AUDIT: runs("loads another library into the process before anything else, with the agent's rights"),
  LD_LIBRARY_PATH: changes("lets system libraries be taken from another directory"),
  NODE_TLS_REJECT_UNAUTHORIZED: dropped("set to 0, lets connections go on with any certificate"),
  NODE_EXTRA_CA_CERTS: dropped("trusts more certificate authorities than the config says"),
  SSL_CERT_FILE: dropped("trusts other certificate authorities than the config says"),
  SSL_CERT_DIR: dropped("trusts other certificate authorities than the config says"),
  SSLKEYLOGFILE: dropped("writes the keys of TLS connections into a file: who has it reads the API token"),
  BUN_CONFIG_VERBOSE_FETCH: dropped("prints requests as curl commands, the API token included"),
  NODE_DEBUG: dropped("prints the runtime's inner workings, headers of requests included"),
  HTTP_PROXY: dropped(ELSEWHERE),
  HTTPS_PROXY: dropped(ELSEWHERE),
  ALL_PROXY: dropped(ELSEWHERE),
  http_proxy: dropped(ELSEWHERE),
  https_proxy: dropped(ELSEWHERE),
  all_proxy: dropped(ELSEWHERE),
};

/** The entry of a variable; undefined for one that does nothing here. */
function entryOf(name: string): Subverting | undefined {
  const prefix = Object.keys(SUBVERTING).find((entry) => entry.endsWith("_") && name.startsWith(entry));
  return Object.hasOwn(SUBVERTING, name) ? SUBVERTING[name] : prefix === undefined ? undefined : SUBVERTING[prefix];
}

/** Names of variables that matter among a process's environment as /proc tells it (NAME=value, NUL between). */
export function subvertingNames(environ: string): readonly string[] {
  return environ.split("\0").flatMap((entry) => {
    const end = entry.indexOf("=");
    const [name, value] = [entry.slice(0, end), entry.slice(end + 1)];
    // The runtime takes no notice of it unless it says yes.
    const isOff = value === "" || (name === "BUN_BE_BUN" && value === "0");
    return end < 1 || isOff || entryOf(name) === undefined ? [] : [name];
  });
}

const MEND = 'take it out of the environment: "unset NAME" in a shell, UnsetEnvironment=NAME in the service\'s unit';

export const ENVIRONMENT_CHECK: Check = {
  name: "environment",
  expected: "no variables that change what the binary runs, whom it trusts, or what it tells",
  judge: ({ environments }) => judge(environments),
};

function judge(environments: readonly EnvironmentFacts[]): Judgement {
  const holders = new Map<string, string[]>();
  for (const { who, variables } of environments) for (const name of variables ?? []) holders.set(name, [...(holders.get(name) ?? []), who]);
  const found = [...holders].flatMap(([name, whose]) => {
    const entry = entryOf(name);
    return entry === undefined ? [] : [{ name, whose, entry }];
  });
  const details = found.map(({ name, whose, entry }) => `${name} (${whose.join(", ")}): ${entry.does}${entry.effect === "dropped" ? "; the agent drops it at start" : ""}`);
  const names = found.map(({ name }) => name).join(", ");
  if (found.some(({ entry }) => entry.effect === "runs")) return broken(`${names} set`, MEND, details);
  if (found.length > 0) return warn(`${names} set`, MEND, details);
  const hidden = environments.filter(({ variables }) => variables === undefined).map(({ who }) => who);
  return fine(`none${hidden.length === 0 ? "" : `; the environment of ${hidden.join(" and ")} may not be read by this user`}`);
}
