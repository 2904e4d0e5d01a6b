import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { parseDuration } from "../../src/config/duration.ts";
import { parseDesiredFiles } from "../../src/desired/parse.ts";
import type { DesiredReport } from "../../src/desired/model.ts";
import { formatPosition, offsetOf, toPlain } from "../../src/document/document.ts";
import { parseDocument } from "../../src/document/parse.ts";

/**
 * A story as it lies in its directory: `host.json` says what the host is like at the start, and in one
 * sentence what the story asserts; `desired.yaml` is read by the real parser; `commands.json` is what
 * happens, and when; `expected.log` is all that follows. Whatever is misspelt is refused with its place.
 */

const duration = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const ms = parseDuration(dataset.value);
    if (ms !== undefined) return ms;
    addIssue({ message: `expected a time such as "30s", found ${JSON.stringify(dataset.value)}` });
    return NEVER;
  }),
);
const vmid = v.pipe(v.number(), v.integer(), v.minValue(100));
const count = v.pipe(v.number(), v.integer(), v.minValue(1));
const config = v.record(v.string(), v.string());
const target = v.union([vmid, v.literal("all")]);
/** What the agent sends, by the word the journal has for it. */
const act = v.picklist(["set_config", "start", "shutdown", "reboot"]);

const GuestSchema = v.strictObject({ vmid, kind: v.picklist(["qemu", "lxc"]), config, isRunning: v.optional(v.boolean(), false) });

const HostSchema = v.strictObject({
  /** One sentence: what the story asserts. docs/stories.md has it too. */
  story: v.pipe(v.string(), v.minLength(10)),
  /** How the agent learns of changes: from the host's files, or from the API alone. */
  watch: v.optional(v.picklist(["files", "api"]), "files"),
  /** Name of the cluster the node is a member of; alone when left out. */
  cluster: v.optional(v.string(), ""),
  settings: v.optional(
    v.strictObject({
      resyncInterval: v.optional(duration), requestTimeout: v.optional(duration), taskTimeout: v.optional(duration), shutdownTimeout: v.optional(duration),
      maxConcurrentActs: v.optional(count), maxConcurrentStarts: v.optional(count), maxAffectedPercent: v.optional(count),
    }),
    {},
  ),
  /** Guests whose system does not follow a shutdown request. */
  deaf: v.optional(v.array(vmid), []),
  /** How long a guest that follows takes to shut down. */
  shutdownTakes: v.optional(duration),
  guests: v.array(GuestSchema),
});

/** One thing that somebody does or that goes wrong: the first key says what. */
const ActionSchema = v.union([
  /** The desired state is another file of the directory. */
  v.strictObject({ declare: v.string() }),
  /** An editor on the guest's file: nothing is checked, nothing becomes pending. */
  v.strictObject({ edit: vmid, set: v.optional(config), delete: v.optional(v.array(v.string())) }),
  /** root@pam in the web interface, through the API. */
  v.strictObject({ gui: v.picklist(["start", "stop", "shutdown", "reboot", "suspend", "resume"]), vmid }),
  v.strictObject({ gui: v.literal("set"), vmid, set: config }),
  v.strictObject({ gui: v.literal("snapshot"), vmid, name: v.string() }),
  /** The process of a guest: killed, or started by hand, without a task. */
  v.strictObject({ power: v.picklist(["start", "stop", "pause", "resume"]), vmid }),
  v.strictObject({ lock: vmid, as: v.nullable(v.string()) }),
  /** vzdump by root@pam: a task, and the guest's config locked while it runs. */
  v.strictObject({ backup: vmid, for: duration }),
  v.strictObject({ destroy: vmid }),
  v.strictObject({ create: GuestSchema }),
  v.strictObject({ migrate: vmid, to: v.string() }),
  /** Back from where it went, stopped. */
  v.strictObject({ return: vmid }),
  v.strictObject({ ha: v.record(v.string(), v.string()) }),
  /** The next such request: never arrives; is carried out and its answer lost; or carried out late, with no answer. */
  v.strictObject({ lose: v.picklist(["request", "answer"]), of: act, vmid, times: v.optional(count, 1) }),
  v.strictObject({ delay: act, vmid, by: duration }),
  /** Tasks of this type end so and do nothing, for a while. */
  v.strictObject({ fail: v.string(), vmid, exit: v.string(), for: duration }),
  v.strictObject({ hang: v.string(), vmid, for: duration }),
  /** The worker of the guest's running task is killed. */
  v.strictObject({ kill: v.literal("task"), vmid }),
  v.strictObject({ api: v.picklist(["down", "silent", "failing"]), for: duration }),
  v.strictObject({ quorum: v.literal("lost"), for: duration }),
  v.strictObject({ disk: v.picklist(["full", "failing"]), for: duration }),
  v.strictObject({ clock: v.picklist(["forward", "back"]), by: duration }),
  v.strictObject({ agent: v.picklist(["kill", "terminate", "start"]) }),
  /** The host's power goes; it is back after a while, and starts what is onboot. */
  v.strictObject({ reboot: v.literal("host"), for: duration }),
  v.strictObject({ pause: target, for: v.optional(duration) }),
  v.strictObject({ resume: target }),
  v.strictObject({ accept: v.literal("newest") }),
  /** A person says what became of the guest's act whose outcome is unknown. */
  v.strictObject({ resolve: vmid, as: v.picklist(["succeeded", "failed"]) }),
  v.strictObject({ restart: vmid, key: v.string() }),
]);

const RoundSchema = v.strictObject({
  /** When, since the start of the story. */
  at: duration,
  /** Not then, but at the first such moment after it, of this guest. */
  on: v.optional(v.strictObject({ moment: v.picklist(["read", "intent", "sent", "carried out", "task", "task ended"]), vmid })),
  every: v.optional(duration),
  times: v.optional(count, 1),
  do: v.array(ActionSchema),
});

/** The last round does nothing: there the story ends. */
const CommandsSchema = v.pipe(
  v.array(RoundSchema),
  v.check((rounds) => rounds.at(-1)?.do.length === 0, 'expected a last round with "do": [], which says when the story ends'),
  v.check((rounds) => rounds.every(({ at }, index) => at >= (rounds[index - 1]?.at ?? 0)), "expected the rounds in the order of their times"),
);

export type HostFile = v.InferOutput<typeof HostSchema>;
export type Action = v.InferOutput<typeof ActionSchema>;
export type Round = v.InferOutput<typeof RoundSchema>;
export type Moment = NonNullable<Round["on"]>["moment"];

export interface Story {
  readonly directory: string;
  readonly host: HostFile;
  readonly rounds: readonly Round[];
  /** By file name: "desired.yaml", and what `declare` names. */
  readonly desired: ReadonlyMap<string, DesiredReport>;
}

/** Reads a story; throws with file, line and column of what is wrong with it. */
export function readStory(directory: string): Story {
  const files = readdirSync(directory);
  const yaml = files.filter((name) => name.endsWith(".yaml"));
  return {
    directory,
    host: readJson(HostSchema, directory, "host.json"),
    rounds: readJson(CommandsSchema, directory, "commands.json"),
    desired: new Map(yaml.map((name) => [name, readDesired(directory, name)])),
  };
}

function readDesired(directory: string, name: string): DesiredReport {
  const { problems, ...state } = parseDesiredFiles([{ name, text: readFileSync(join(directory, name), "utf8") }]);
  return problems.length === 0 ? { state, problems } : { state: undefined, problems };
}

function readJson<const T extends v.GenericSchema>(schema: T, directory: string, name: string): v.InferOutput<T> {
  const document = parseDocument(join(directory, name), readFileSync(join(directory, name), "utf8"));
  if (!document.ok) throw new Error(document.problems.map(({ message }) => message).join("\n"));
  const { tree } = document;
  const parsed = v.safeParse(schema, toPlain(tree.root));
  if (parsed.success) return parsed.output;
  const told = parsed.issues.map((issue) => {
    const path = (issue.path ?? []).map(({ key }) => key as string | number);
    return `${formatPosition(tree.positionAt(offsetOf(tree.root, path, "value")))}: ${path.join(".")}: ${issue.message}`;
  });
  throw new Error(told.join("\n"));
}
