import { dirname, join } from "node:path";
import { importsOf, place, topComments, type Finding, type Source } from "./source.ts";

/**
 * The rooms of src/ and what each may import, as data. Changing a line is a decision about the
 * architecture: give it a reason in docs/decisions/ and bring ARCHITECTURE.md along.
 *
 * An entry is a room, or one file of a room; "types:" before it allows `import type` only.
 */
interface Room {
  /** Opens with what the room is for, what it promises, what it leaves to others. */
  readonly mainFile: string;
  readonly mayImport: readonly string[];
  /** Why the line is drawn here: read this before moving it. */
  readonly because: string;
}

const ROOMS: Readonly<Record<string, Room>> = {
  guest: { mainFile: "key.ts", mayImport: [], because: "everybody shares these types; whatever they needed, everybody would need" },
  ports: { mainFile: "errors.ts", mayImport: ["types:guest"], because: "interfaces must not know who implements or uses them" },
  conditions: { mainFile: "condition.ts", mayImport: ["guest"], because: "closed lists that engine, server and command line read alike" },
  document: { mainFile: "document.ts", mayImport: [], because: "text in, tree with positions out (docs/decisions/004-document-room.md)" },
  config: { mainFile: "load.ts", mayImport: ["document", "ports"], because: "settings are read before anything else exists" },
  parameters: { mainFile: "check-config.ts", mayImport: ["document/nearest.ts", "guest"], because: "pure: Proxmox's own schema as facts, good for nothing but judging" },
  desired: { mainFile: "model.ts", mayImport: ["document", "guest", "parameters", "ports"], because: "what is wanted must not depend on what is" },
  proxmox: { mainFile: "client.ts", mayImport: ["guest", "ports"], because: "what is must not depend on what is wanted" },
  normalize: { mainFile: "registry.ts", mayImport: ["guest", "ports/errors.ts"], because: "pure: no clock, log or IO can come in" },
  plan: { mainFile: "plan-guest.ts", mayImport: ["desired/model.ts", "normalize", "guest", "parameters/since.ts", "ports/errors.ts"], because: "pure: the same input gives the same plan" },
  gate: {
    mainFile: "classify.ts",
    mayImport: ["plan/types.ts", "plan/keys.ts", "normalize", "types:journal/types.ts", "guest", "ports/errors.ts", "types:ports/proxmox-api.ts"],
    because: "pure, and judges what was planned without being able to plan",
  },
  import: {
    mainFile: "import-guest.ts",
    mayImport: ["desired/model.ts", "document", "gate/allow-list.ts", "guest", "normalize", "parameters/check-config.ts", "plan", "ports/errors.ts"],
    because: "pure, and the way back: from what is to what would be declared",
  },
  lanes: { mainFile: "lanes.ts", mayImport: ["ports"], because: "serializes jobs without knowing what they do" },
  schedule: { mainFile: "work-queue.ts", mayImport: ["ports"], because: "says when, not what" },
  journal: { mainFile: "journal.ts", mayImport: ["ports"], because: "must be able to outlive every change of what is journaled" },
  reconcile: {
    mainFile: "engine.ts",
    mayImport: ["conditions", "desired", "gate", "guest", "journal", "lanes", "normalize", "plan", "ports", "proxmox", "schedule"],
    because: "puts the rooms above together; nothing of them knows it",
  },
  doctor: {
    mainFile: "doctor.ts",
    mayImport: ["config", "types:desired/model.ts", "gate/allow-list.ts", "guest", "journal/inspect.ts", "journal/scan.ts", "journal/segment.ts", "journal/verify.ts", "normalize", "plan", "ports", "proxmox"],
    because: "looks at what the agent depends on without being able to run one; what only other rooms know is handed in",
  },
  server: { mainFile: "app.ts", mayImport: ["conditions", "guest", "ports", "reconcile"], because: "shows things; can act on nothing" },
  control: {
    mainFile: "app.ts",
    mayImport: ["conditions", "guest", "ports", "reconcile", "journal/types.ts", "types:plan/types.ts"],
    because: "passes commands on; what they do is reconcile's",
  },
  simulator: { mainFile: "main.ts", mayImport: ["guest", "ports"], because: "a double that shared the client's code would share its mistakes" },
  install: { mainFile: "install.ts", mayImport: ["doctor/privileges.ts", "gate/allow-list.ts", "guest", "ports"], because: "runs before there is a config, a journal or an agent" },
  runtime: { mainFile: "clock.ts", mayImport: ["ports"], because: "the real world, behind the interfaces" },
  bench: {
    mainFile: "bench.ts",
    mayImport: ["types:desired/model.ts", "guest", "journal", "lanes", "normalize", "plan", "ports"],
    because: "measures the rooms it names as they are; nothing of them knows it, and only its command loads it",
  },
  commands: { mainFile: "context.ts", mayImport: ["*"], because: "the command line may use everything" },
  // Files that stand in src/ itself.
  "main.ts": { mainFile: "main.ts", mayImport: ["*"], because: "the entry point" },
  "serve.ts": { mainFile: "serve.ts", mayImport: ["*"], because: "the daemon's composition" },
  "agent.ts": {
    mainFile: "agent.ts",
    mayImport: ["parts.ts", "version.ts", "conditions", "config", "control", "desired", "gate", "guest", "journal", "lanes", "plan", "ports", "proxmox", "reconcile", "runtime", "schedule", "server"],
    because: "the composition root knows every part and no command",
  },
  "parts.ts": {
    mainFile: "parts.ts",
    mayImport: ["version.ts", "config", "desired", "guest", "ports", "proxmox", "reconcile"],
    because: "the parts that a config shapes",
  },
  "limits.ts": {
    mainFile: "limits.ts",
    mayImport: ["conditions", "config", "control", "desired", "document", "journal", "lanes", "plan", "proxmox", "reconcile", "runtime", "schedule", "server"],
    because: "collects the rooms' named limits for the metrics, and nothing else of them",
  },
  "version.ts": { mainFile: "version.ts", mayImport: [], because: "read by everything that says which program this is" },
};

/** The room of a file in src/: its first folder, or its own name when it stands in src/ itself. */
export function roomOf(path: string): string {
  return path.split("/")[1] ?? "";
}

/** Imports that the table does not allow. */
export function importFindings(sources: readonly Source[]): readonly Finding[] {
  return sources.filter((source) => source.path.startsWith("src/")).flatMap(fileFindings);
}

function fileFindings(source: Source): readonly Finding[] {
  const room = roomOf(source.path);
  const rule = ROOMS[room];
  if (rule === undefined) return [{ at: source.path, message: `src/${room} is not in the room table (test/tidy/rooms.ts): put the file into a room` }];
  return importsOf(source).flatMap(({ module, isTypeOnly, node }) => {
    if (!module.startsWith(".")) return [];
    const target = join(dirname(source.path), module);
    const at = place(source, node);
    // A text that is built into the binary (the demo's examples) is data, not a room.
    if (!target.startsWith("src/")) return /\.(?:ya?ml|json)$/.test(module) ? [] : [{ at, message: `src may not import ${target}` }];
    if (!module.endsWith(".ts")) return [{ at, message: `write the ending of "${module}": imports carry .ts` }];
    if (roomOf(target) === room || isAllowed(rule, target, isTypeOnly)) return [];
    const kind = isTypeOnly ? "types of " : "";
    return [{ at, message: `${room} may not import ${kind}${target.slice("src/".length)}: it may import ${rule.mayImport.join(", ") || "nothing"}, because ${rule.because}` }];
  });
}

function isAllowed(rule: Room, target: string, isTypeOnly: boolean): boolean {
  return rule.mayImport.some((entry) => {
    const [name, isTypesEntry] = entry.startsWith("types:") ? [entry.slice("types:".length), true] : [entry, false];
    if (isTypesEntry && !isTypeOnly) return false;
    return name === "*" || target === `src/${name}` || target.startsWith(`src/${name}/`);
  });
}

/** Main files of rooms that do not open with two lines or more on what the room is for. */
export function openingFindings(sources: readonly Source[]): readonly Finding[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  return Object.entries(ROOMS).flatMap(([room, { mainFile }]) => {
    if (mainFile === room) return [];
    const path = `src/${room}/${mainFile}`;
    const source = byPath.get(path);
    if (source === undefined) return [{ at: path, message: `the room table names it as the main file of ${room}, and it is not there` }];
    const isOpened = topComments(source).some((comment) => comment.startsWith("/**") && contentLines(comment) >= 2);
    return isOpened ? [] : [{ at: path, message: `open the main file of ${room} with a comment of three to six lines: what it is for, what it promises, what it leaves to others` }];
  });
}

function contentLines(comment: string): number {
  return comment.split("\n").filter((line) => /[A-Za-z]/.test(line)).length;
}
