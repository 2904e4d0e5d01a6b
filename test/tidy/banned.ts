import { SyntaxKind, type Node } from "typescript/unstable/ast";
import { roomOf } from "./rooms.ts";
import { importsOf, place, walk, type Finding, type Source } from "./source.ts";

/** Something that only the rooms that own it may use, and what everybody else uses instead. */
interface Ban {
  /** Names as they are written: "Date.now", "setTimeout", a module for imports; a trailing .* stands for any member, a leading *. for any object. */
  readonly names: readonly string[];
  /** Rooms, or files relative to src/, that may. */
  readonly owners: readonly string[];
  readonly instead: string;
}

const USES: readonly Ban[] = [
  { names: ["Date.now", "new Date()", "performance.now", "process.hrtime", "process.uptime", "Bun.nanoseconds"], owners: ["runtime"], instead: "the Clock that was handed in (now, monotonic)" },
  { names: ["setTimeout", "setInterval", "Bun.sleep", "Bun.sleepSync", "Atomics.wait"], owners: ["runtime"], instead: "the Clock that was handed in (sleep, schedule)" },
  // Between two files of a large directory the source gives way to others; no time is involved.
  { names: ["setImmediate"], owners: ["runtime", "desired/directory-source.ts"], instead: "the Clock that was handed in (sleep, schedule)" },
  { names: ["Math.random", "crypto.randomUUID", "crypto.getRandomValues", "randomUUID", "randomBytes", "randomInt", "Bun.randomUUIDv7"], owners: ["runtime"], instead: "the Random that was handed in" },
  { names: ["fetch"], owners: ["control/client.ts", "commands/demo-story.ts"], instead: "the ProxmoxApi that was handed in (proxmox/ checks the certificate before the token is sent; fetch does not)" },
  { names: ["*.mutate", "mutate"], owners: ["reconcile/execute.ts", "proxmox"], instead: "execute() with what the gate approved and the journal recorded" },
  { names: ["console.*"], owners: [], instead: "the Log that was handed in, or a command's print and complain" },
  { names: ["process.exit", "process.exitCode", "process.kill", "process.abort"], owners: ["main.ts"], instead: "an exit code as a command's result: only main.ts ends the process" },
  { names: ["process.env", "Bun.env"], owners: ["main.ts"], instead: "the environment that main.ts hands to commands" },
  { names: ["process.stdout", "process.stderr", "process.stdin"], owners: ["main.ts"], instead: "a command's print and complain" },
  { names: ["Bun.serve", "Bun.listen"], owners: ["server", "control", "simulator"], instead: "a route of server/ or control/" },
  // Installing makes a user and enables a service; the daemon calls nothing of it.
  { names: ["Bun.spawn", "Bun.spawnSync", "Bun.$"], owners: ["install/programs.ts"], instead: "Proxmox's API: the agent starts no programs" },
  { names: ["Bun.file", "Bun.write"], owners: ["runtime"], instead: "the FileSystem that was handed in" },
  { names: ["eval", "Function"], owners: [], instead: "code that is written down" },
];

const MODULES: readonly Ban[] = [
  { names: ["node:fs", "node:fs/promises", "fs", "fs/promises"], owners: ["runtime", "desired", "config", "control/socket.ts", "simulator", "commands", "bench/raw-disk.ts", "bench/system-files.ts", "install/tree.ts", "main.ts"], instead: "the FileSystem that was handed in" },
  { names: ["node:child_process", "child_process", "node:cluster", "node:worker_threads"], owners: [], instead: "Proxmox's API: the agent starts no programs" },
  { names: ["node:http", "node:https", "node:http2", "node:tls", "node:net", "node:dgram", "node:dns"], owners: ["proxmox", "simulator"], instead: "the ProxmoxApi that was handed in" },
  { names: ["node:timers", "node:timers/promises", "timers/promises"], owners: ["runtime", "desired/directory-source.ts"], instead: "the Clock that was handed in" },
  { names: ["bun:ffi"], owners: ["runtime"], instead: "an interface in ports/ that runtime/ implements" },
  { names: ["node:os"], owners: ["main.ts", "commands"], instead: "what main.ts hands to commands" },
];

/** Uses of what belongs to other rooms, in src/. */
export function bannedFindings(sources: readonly Source[]): readonly Finding[] {
  return sources.filter((source) => source.path.startsWith("src/")).flatMap((source) => [...usesIn(source), ...modulesIn(source)]);
}

function usesIn(source: Source): readonly Finding[] {
  const findings: Finding[] = [];
  walk(source, (node) => {
    const name = nameOf(node, source);
    const ban = name === undefined ? undefined : USES.find((candidate) => candidate.names.some((banned) => matches(banned, name)));
    if (name !== undefined && ban !== undefined && !isOwner(ban, source.path)) findings.push({ at: place(source, node), message: `${name} is not for ${roomOf(source.path)}: use ${ban.instead}` });
  });
  return findings;
}

function modulesIn(source: Source): readonly Finding[] {
  return importsOf(source).flatMap(({ module, isTypeOnly, node }) => {
    const ban = isTypeOnly ? undefined : MODULES.find((candidate) => candidate.names.includes(module));
    return ban === undefined || isOwner(ban, source.path) ? [] : [{ at: place(source, node), message: `"${module}" is not for ${roomOf(source.path)}: use ${ban.instead}` }];
  });
}

function isOwner(ban: Ban, path: string): boolean {
  return ban.owners.some((owner) => path === `src/${owner}` || path.startsWith(`src/${owner}/`));
}

function matches(banned: string, name: string): boolean {
  if (banned.startsWith("*.")) return name.endsWith(banned.slice(1));
  return banned.endsWith(".*") ? name.startsWith(banned.slice(0, -1)) : name === banned;
}

/** "Date.now" for a member of a global, "setTimeout" for a global that is called or passed on, "new Date()" for one without arguments. */
function nameOf(node: Node, source: Source): string | undefined {
  const text = node.getText(source.tree);
  if (node.kind === SyntaxKind.NewExpression) return /^new\s+Date\s*(?:\(\s*\))?$/.test(text) ? "new Date()" : undefined;
  if (node.kind === SyntaxKind.PropertyAccessExpression) return text.replace(/\s/g, "").replace(/^globalThis\./, "").replaceAll("?.", ".");
  if (node.kind !== SyntaxKind.Identifier || !isValueUse(node)) return undefined;
  return text;
}

const NAMING_KINDS: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.MethodDeclaration, SyntaxKind.MethodSignature, SyntaxKind.PropertyDeclaration, SyntaxKind.PropertySignature,
  SyntaxKind.TypeReference, SyntaxKind.PropertyAssignment, SyntaxKind.EnumMember, SyntaxKind.GetAccessor, SyntaxKind.SetAccessor, SyntaxKind.QualifiedName,
]);

/** Whether an identifier stands for a value, not for the name of a member or a type. */
function isValueUse(node: Node): boolean {
  const { parent } = node;
  if (parent.kind === SyntaxKind.PropertyAccessExpression) return parent.forEachChild((child) => child) === node;
  if (parent.kind === SyntaxKind.PropertyAssignment) return parent.forEachChild((child) => child) !== node;
  return !NAMING_KINDS.has(parent.kind);
}
