/**
 * The agent's own settings: from defaults, the file, the environment and the flags to one checked
 * value. Promises: an unknown or unusable setting is an error that says where and what to do; all
 * problems are told at once; no message quotes a secret. Reading again when the file changes, and
 * what a setting does, is left to others.
 */
import { createHash } from "node:crypto";
import * as v from "valibot";
import { decodeText } from "../document/decode.ts";
import { parseDocument } from "../document/parse.ts";
import { type Fault, fail, ok, type Result } from "../ports/errors.ts";
import { chooseSettings } from "./choose.ts";
import { type ConfigProblem, environmentLayer, fileLayer, flagLayer, formatOrigin, type Layer, type LayerReading, problemCode, type SettingOrigin, type Written } from "./layers.ts";
import { defaultTexts, isSettingKey, type SettingKey, SettingsSchema, type SettingValues } from "./settings.ts";
import type { AgentConfig, TlsTrust } from "./types.ts";

/** A settings file has some thirty lines; what is larger is another file. */
export const CONFIG_BYTES_MAX = 256 * 1024;

export interface LoadConfigOptions {
  /** The file's path. */
  readonly file: string;
  /** True when somebody named the file: then it must be there. */
  readonly isFileRequired: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** By setting (`flagValues` makes it from commander's options). */
  readonly flags: Readonly<Partial<Record<SettingKey, string>>>;
  readonly readFile: (path: string) => Result<Uint8Array>;
  /** This host's name; the default of `node`, without its domain. */
  readonly hostname: string;
  /** Relative paths in variables and flags start here. */
  readonly workingDirectory: string;
}

export interface LoadedConfig {
  readonly config: AgentConfig;
  /** Where each value came from. */
  readonly origins: ReadonlyMap<SettingKey, SettingOrigin>;
  /** The file that was read; undefined when there was none. */
  readonly file: string | undefined;
  /** SHA-256 of the file's bytes: another one means that reading again may give something else. */
  readonly fingerprint: string;
}

/** `problems` are the lines of `message`, one a problem. */
export interface ConfigFault extends Fault {
  readonly problems: readonly string[];
}

/** Loads the settings. Flags win over variables, variables over the file, the file over defaults. */
export function loadConfig(options: LoadConfigOptions): Result<LoadedConfig, ConfigFault> {
  const read = readConfigFile(options);
  if (!read.ok) return read;
  const fromFile = read.value === undefined ? NOTHING : readFileLayer(options.file, read.value);
  const fromEnvironment = environmentLayer(options.environment, options.workingDirectory);
  const layers = [defaultLayer(options.hostname), fromFile.layer, fromEnvironment.layer, flagLayer(options.flags, options.workingDirectory)];
  const choice = chooseSettings(layers);
  const judged = judge(choice.chosen);
  const problems = [...fromFile.problems, ...fromEnvironment.problems, ...choice.problems, ...judged.problems];
  if (problems.length > 0 || judged.values === undefined) return fail(faultOf(problems));
  const origins = new Map([...choice.chosen].map(([key, written]) => [key, written.origin] as const));
  return ok({ config: toAgentConfig(judged.values), origins, file: read.value === undefined ? undefined : options.file, fingerprint: fingerprintOf(read.value ?? new Uint8Array()) });
}

/** SHA-256 (hex) of a file's bytes. */
export function fingerprintOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const NOTHING: LayerReading = { layer: new Map(), problems: [] };

/** The file's bytes; undefined when it is not there and need not be. */
function readConfigFile({ file, isFileRequired, readFile }: LoadConfigOptions): Result<Uint8Array | undefined, ConfigFault> {
  const read = readFile(file);
  if (read.ok) return read;
  if (read.error.code === "file.not_found" && !isFileRequired) return ok(undefined);
  const message = `${file}: expected the agent's settings, found that they cannot be read: ${read.error.message}; correct the path or the file's mode`;
  return fail({ code: "config.unreadable", message, problems: [message], cause: read.error });
}

function readFileLayer(file: string, bytes: Uint8Array): LayerReading {
  const decoded = decodeText(file, bytes, CONFIG_BYTES_MAX);
  if (!decoded.ok) return { layer: new Map(), problems: [{ code: "config.syntax", message: decoded.problem.message }] };
  const document = parseDocument(file, decoded.text);
  if (document.ok) return fileLayer(document.tree);
  return { layer: new Map(), problems: document.problems.map((problem) => ({ code: "config.syntax", message: problem.kind === "empty" ? `${problem.message}; remove the file to use the defaults` : problem.message })) };
}

function defaultLayer(hostname: string): Layer {
  const origin: SettingOrigin = { from: "default" };
  return new Map([...defaultTexts(hostname)].map(([key, text]) => [key, { text, origin }] as const));
}

interface Judgement {
  readonly values: SettingValues | undefined;
  readonly problems: readonly ConfigProblem[];
}

/** Each text against its setting's schema. A setting whose text choose.ts took away is not blamed a second time. */
function judge(chosen: ReadonlyMap<SettingKey, Written>): Judgement {
  const texts = Object.fromEntries([...chosen].map(([key, { text }]) => [key, text]));
  const parsed = v.safeParse(SettingsSchema, texts);
  if (parsed.success) return { values: parsed.output, problems: [] };
  const problems = parsed.issues.flatMap((issue) => {
    const key = String(issue.path?.[0]?.key);
    const written = isSettingKey(key) ? chosen.get(key) : undefined;
    return written === undefined ? [] : [problemOf(key, written, issue.message)];
  });
  return { values: undefined, problems };
}

function problemOf(key: string, { text, origin }: Written, expected: string): ConfigProblem {
  const [claim = "", ...advice] = expected.split("; ");
  // A URL may hold a password.
  const found = key === "proxmox.url" && text.includes("@") ? "one with a user in it" : JSON.stringify(text);
  const rest = advice.map((part) => `; ${part}`).join("");
  const isInsecure = key === "proxmox.url" && text.startsWith("http:");
  return { code: problemCode(isInsecure ? "config.insecure" : "config.schema", origin), message: `${formatOrigin(origin)}: ${key}: ${claim}, found ${found}${rest}` };
}

function faultOf(problems: readonly ConfigProblem[]): ConfigFault {
  const lines = problems.map(({ message }) => message);
  const isUsage = problems.every((problem) => problem.code === "command.usage");
  const found = (["config.syntax", "config.insecure"] as const).find((candidate) => problems.some((problem) => problem.code === candidate));
  const code = isUsage ? "command.usage" : (found ?? "config.schema");
  return { code, message: lines.join("\n"), problems: lines };
}

function toAgentConfig(values: SettingValues): AgentConfig {
  const path = values["desired.path"];
  return {
    node: values.node,
    stateDir: values.stateDir,
    proxmox: {
      url: values["proxmox.url"],
      tokenFile: values["proxmox.tokenFile"],
      tls: trustOf(values),
      requestTimeoutMs: values["proxmox.requestTimeout"],
      maxConcurrentRequests: values["proxmox.maxConcurrentRequests"],
    },
    host: {
      enabled: values["host.enabled"],
      pveDir: values["host.pveDir"],
      runDir: values["host.runDir"],
      taskDir: values["host.taskDir"],
      cgroupDir: values["host.cgroupDir"],
    },
    desired: values["desired.source"] === "directory" && path !== undefined ? { source: "directory", path } : { source: "empty" },
    pollIntervalMs: values.pollInterval,
    resyncIntervalMs: values.resyncInterval,
    maxConcurrentActs: values.maxConcurrentActs,
    maxConcurrentStarts: values.maxConcurrentStarts,
    maxAffectedPercent: values.maxAffectedPercent,
    taskTimeoutMs: values.taskTimeout,
    shutdownTimeoutMs: values.shutdownTimeout,
    dryRun: values.dryRun,
    server: values["server.listen"],
    socket: values.socket,
    log: { level: values["log.level"], format: values["log.format"] },
  };
}

function trustOf(values: SettingValues): TlsTrust {
  const caFile = values["proxmox.tls.caFile"];
  const fingerprint = values["proxmox.tls.fingerprint"];
  if (caFile !== undefined) return { caFile };
  return fingerprint === undefined ? "auto" : { fingerprint };
}
