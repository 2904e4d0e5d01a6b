/**
 * Checks that bun.lock installs anywhere and fits package.json: no addresses in it (a lock written
 * with another registry configured records that registry's), the declared versions the same in both, each of them
 * locked, and every package with its checksum.
 */
import { join } from "node:path";

const GROUPS = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"] as const;
type Dependencies = Readonly<Record<string, string>>;
type Manifest = Readonly<Partial<Record<(typeof GROUPS)[number], Dependencies>>>;

interface Lock {
  readonly workspaces?: { readonly ""?: Manifest };
  /** Name to [name@version, registry, details, checksum]. */
  readonly packages?: Readonly<Record<string, readonly unknown[]>>;
}

/** What is wrong, one line each; empty when nothing is. */
export function lockfileProblems(lockText: string, packageText: string): readonly string[] {
  const manifest: Manifest = JSON.parse(packageText);
  const lock = parseLock(lockText);
  if (typeof lock === "string") return [lock];
  return [...addressProblems(lockText), ...versionProblems(lock, manifest), ...checksumProblems(lock)];
}

function parseLock(text: string): Lock | string {
  try {
    // JSON with trailing commas; nothing in a lock holds a comma before a bracket inside a string.
    return JSON.parse(text.replace(/,(\s*[}\]])/g, "$1"));
  } catch (error) {
    return `bun.lock: expected JSON, found ${error instanceof Error ? error.message : String(error)}: run "bun install"`;
  }
}

function addressProblems(text: string): readonly string[] {
  return text.split("\n").flatMap((line, index) => {
    const address = /https?:\/\/[^"\s]+/.exec(line)?.[0];
    return address === undefined ? [] : [`bun.lock:${index + 1}: expected no addresses, found ${address}: write the lock with the default registry`];
  });
}

function versionProblems(lock: Lock, manifest: Manifest): readonly string[] {
  const locked = lock.workspaces?.[""] ?? {};
  return GROUPS.flatMap((group) => {
    const [wanted, found] = [manifest[group] ?? {}, locked[group] ?? {}];
    return [...new Set([...Object.keys(wanted), ...Object.keys(found)])].flatMap((name) => {
      if (wanted[name] !== found[name]) return [`${group}: package.json wants ${name} ${wanted[name] ?? "(not at all)"}, bun.lock has ${found[name] ?? "nothing"}: run "bun install"`];
      const resolved = lock.packages?.[name]?.[0];
      return resolved === `${name}@${wanted[name]}` ? [] : [`${group}: expected ${name} to be locked as ${name}@${wanted[name]}, found ${String(resolved)}: pin the exact version`];
    });
  });
}

function checksumProblems(lock: Lock): readonly string[] {
  return Object.entries(lock.packages ?? {}).flatMap(([name, entry]) =>
    typeof entry[3] === "string" && entry[3].startsWith("sha512-") ? [] : [`bun.lock: ${name} has no sha512 checksum: run "bun install"`],
  );
}

if (import.meta.main) {
  const root = join(import.meta.dir, "..");
  const problems = lockfileProblems(await Bun.file(join(root, "bun.lock")).text(), await Bun.file(join(root, "package.json")).text());
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
