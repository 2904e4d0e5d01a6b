/**
 * Compiles dist/agent: one file that runs on a host with nothing else installed.
 *
 *   bun scripts/build.ts                         for this machine: dist/agent
 *   bun scripts/build.ts --target linux-arm64    for another one:  dist/agent-linux-arm64
 *   bun scripts/build.ts --target linux-arm64 --executable FILE    with a Bun for it that is already here
 *
 * The same tree gives the same bytes. Every build writes dist/SHA256SUMS over all binaries in dist.
 * Never strip the result: the program is appended to the Bun executable, and strip cuts it off.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
export const TARGETS = ["linux-x64", "linux-arm64"] as const;
export type Target = (typeof TARGETS)[number];

export interface BuildPlan {
  readonly target: Target;
  /** Name in dist/. */
  readonly name: string;
  readonly executable: string | undefined;
}

/** The target of the machine this runs on, in the words of TARGETS. */
export function hostTarget(platform: string = process.platform, arch: string = process.arch): string {
  return `${platform}-${arch}`;
}

/** What a command line asks for; a text when it cannot be done. */
export function planBuild(args: readonly string[], host: string): BuildPlan | string {
  const options = new Map<string, string>();
  for (let index = 0; index < args.length; index += 2) {
    const [name, value] = [args[index] ?? "", args[index + 1]];
    if ((name !== "--target" && name !== "--executable") || value === undefined) return `expected --target ${TARGETS.join("|")} or --executable FILE, found "${args.slice(index).join(" ")}"`;
    options.set(name, value);
  }
  const wanted = options.get("--target") ?? host;
  const target = TARGETS.find((candidate) => candidate === wanted);
  if (target === undefined) return `expected a target of ${TARGETS.join(", ")}, found "${wanted}": name one with --target`;
  return { target, name: target === host ? "agent" : `agent-${target}`, executable: options.get("--executable") };
}

/** Arguments for `bun`, apart from the entry; why each is there is said beside it. */
export function compileArguments(plan: BuildPlan, host: string, baked: { readonly version: string; readonly commit: string }): readonly string[] {
  return [
    "build", "--compile",
    // Not --minify: it renames classes, and err.name with them.
    "--minify-syntax", "--minify-whitespace", "--sourcemap",
    // Bytecode alone means CommonJS, where top-level await fails.
    "--bytecode", "--format=esm",
    "--reject-unresolved",
    // Without these the binary would run what a .env or bunfig.toml in the working directory tells it to.
    "--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig",
    "--define", `STEWARD_VERSION=${JSON.stringify(baked.version)}`,
    "--define", `STEWARD_COMMIT=${JSON.stringify(baked.commit)}`,
    ...(plan.target === host ? [] : [`--target=bun-${plan.target}`]),
    ...(plan.executable === undefined ? [] : [`--compile-executable-path=${plan.executable}`]),
  ];
}

/** One line a file, as `sha256sum -c` reads them, by name. */
export function checksumLines(files: ReadonlyMap<string, Uint8Array>): string {
  const names = [...files.keys()].sort();
  return names.map((name) => `${new Bun.CryptoHasher("sha256").update(files.get(name) ?? "").digest("hex")}  ${name}\n`).join("");
}

/** The commit of the tree, with "-dirty" when it holds anything else; "unknown" outside git. */
export function commitOf(root: string): string {
  const git = (...args: string[]): string | undefined => {
    const run = Bun.spawnSync(["git", "-C", root, ...args], { stdout: "pipe", stderr: "ignore" });
    return run.success ? run.stdout.toString().trim() : undefined;
  };
  const commit = Bun.which("git") === null ? undefined : git("rev-parse", "--short=12", "HEAD");
  if (commit === undefined || commit === "") return "unknown";
  return git("status", "--porcelain") === "" ? commit : `${commit}-dirty`;
}

/** Builds and gives the binary's path; a text when it failed. */
async function build(plan: BuildPlan, host: string): Promise<{ readonly path: string } | string> {
  const dist = join(ROOT, "dist");
  mkdirSync(dist, { recursive: true });
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  // Bun writes the binary's name into it: built under its own name in a directory of its own, then moved.
  const scratch = join(dist, `.build-${process.pid}`);
  const args = [...compileArguments(plan, host, { version, commit: commitOf(ROOT) }), "src/main.ts", "--outfile", join(scratch, plan.name)];
  try {
    const child = Bun.spawn([process.execPath, ...args], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
    const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    if ((await child.exited) !== 0) return failureText(plan, host, `${out}${errors}`);
    renameSync(join(scratch, plan.name), join(dist, plan.name));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  writeChecksums(dist);
  return { path: join("dist", plan.name) };
}

function failureText(plan: BuildPlan, host: string, output: string): string {
  if (plan.target === host) return output;
  return (
    `${output}\ncould not build for ${plan.target} on ${host}. Bun fetches the other machine's executable from the package registry; ` +
    `where that cannot be reached, fetch it elsewhere and name it with --executable FILE`
  );
}

function writeChecksums(dist: string): void {
  const names = readdirSync(dist).filter((name) => name === "agent" || TARGETS.some((target) => name === `agent-${target}`));
  writeFileSync(join(dist, "SHA256SUMS"), checksumLines(new Map(names.map((name) => [name, readFileSync(join(dist, name))]))));
}

async function main(): Promise<number> {
  const host = hostTarget();
  const plan = planBuild(process.argv.slice(2), host);
  if (typeof plan === "string") {
    console.error(plan);
    return 64;
  }
  const built = await build(plan, host);
  if (typeof built === "string") {
    console.error(built);
    return 1;
  }
  console.log(`built ${built.path} (${(Bun.file(join(ROOT, built.path)).size / 1e6).toFixed(0)} MB)`);
  return 0;
}

if (import.meta.main) process.exitCode = await main();
