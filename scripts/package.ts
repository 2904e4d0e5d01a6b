/**
 * Packages the built agent as dist/steward_VERSION_ARCH.deb, for Debian 12 and 13 (Proxmox VE 8 and 9).
 *
 *   bun scripts/package.ts                          around dist/agent
 *   bun scripts/package.ts --target linux-arm64     around dist/agent-linux-arm64
 *
 * Needs no Debian tools. The binary goes in as it is: stripping would cut the program off. The same tree
 * gives the same bytes; times are SOURCE_DATE_EPOCH, or the last commit's.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { json } from "../src/commands/context.ts";
import { schemaText } from "../src/commands/schema.ts";
import { layoutOf, OWN_DIRECTORIES, PACKAGE_PREFIX, SHELLS, shippedFiles, STATE_DIRECTORY, type Shell, type ShippedTexts } from "../src/install/layout.ts";
import { unitText } from "../src/install/unit.ts";
import { TARGETS, hostTarget, type Target } from "./build.ts";
import { arArchive, gzippedTar, type PackedFile } from "./deb/archive.ts";
import { ARCHITECTURES, controlFile, COPYRIGHT, debianChangelog, LINTIAN_OVERRIDES, type Architecture } from "./deb/control.ts";
import { POSTINST, POSTRM, PRERM } from "./deb/scripts.ts";

const ROOT = join(import.meta.dir, "..");
const GZIP_LEVEL = 9;

export interface DebRequest {
  readonly version: string;
  readonly architecture: Architecture;
  readonly binary: Uint8Array;
  readonly texts: Omit<ShippedTexts, "unit">;
  readonly documents: Readonly<Record<string, string>>;
  /** Seconds since the epoch. */
  readonly modifiedAt: number;
}

/** The package, whole. */
export function debPackage(request: DebRequest): Uint8Array {
  const { modifiedAt, version, architecture } = request;
  const files = packedFiles(request);
  const directoryModes = new Map(OWN_DIRECTORIES.filter(({ path }) => path !== STATE_DIRECTORY).map(({ path, mode }) => [path, mode] as const));
  const text = (path: string, content: string, mode = 0o644): PackedFile => ({ path, mode, content: Buffer.from(content) });
  const control = [
    text("/control", controlFile({ version, architecture, installedBytes: files.reduce((sum, { content }) => sum + content.length, 0) })),
    text("/conffiles", conffiles(files).map((path) => `${path}\n`).join("")),
    text("/md5sums", files.filter(({ path }) => !path.startsWith("/etc/")).map(({ path, content }) => `${new Bun.CryptoHasher("md5").update(content).digest("hex")}  ${path.slice(1)}\n`).join("")),
    text("/postinst", POSTINST, 0o755), text("/prerm", PRERM, 0o755), text("/postrm", POSTRM, 0o755),
  ];
  return arArchive([
    ["debian-binary", Buffer.from("2.0\n")],
    ["control.tar.gz", gzippedTar(control, new Map(), modifiedAt)],
    ["data.tar.gz", gzippedTar(files, directoryModes, modifiedAt)],
  ], modifiedAt);
}

function conffiles(files: readonly PackedFile[]): readonly string[] {
  return files.map(({ path }) => path).filter((path) => path.startsWith("/etc/"));
}

function packedFiles({ binary, texts, documents, version, modifiedAt }: DebRequest): readonly PackedFile[] {
  const layout = layoutOf(PACKAGE_PREFIX);
  const shipped = shippedFiles(layout, "", { ...texts, unit: unitText(layout.binary) });
  const compressed = (content: string): Uint8Array => gzipSync(content, { level: GZIP_LEVEL });
  return [
    ...shipped.map(({ path, mode, content }) => ({ path, mode, content: typeof content === "string" ? Buffer.from(content) : binary })),
    { path: "/usr/share/lintian/overrides/steward", mode: 0o644, content: Buffer.from(LINTIAN_OVERRIDES) },
    { path: "/usr/share/doc/steward/copyright", mode: 0o644, content: Buffer.from(COPYRIGHT) },
    { path: "/usr/share/doc/steward/changelog.gz", mode: 0o644, content: compressed(debianChangelog(version, modifiedAt)) },
    ...Object.entries(documents).map(([name, content]) => ({ path: `/usr/share/doc/steward/${name}.gz`, mode: 0o644, content: compressed(content) })),
  ].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** What a command line asks for; a text when it cannot be done. */
export function planPackage(args: readonly string[], host: string): { readonly target: Target; readonly binary: string } | string {
  if (args.length !== 0 && (args.length !== 2 || args[0] !== "--target")) return `expected nothing or --target ${TARGETS.join("|")}, found "${args.join(" ")}"`;
  const wanted = args[1] ?? host;
  const target = TARGETS.find((candidate) => candidate === wanted);
  if (target === undefined) return `expected a target of ${TARGETS.join(", ")}, found "${wanted}": name one with --target`;
  return { target, binary: target === host ? "agent" : `agent-${target}` };
}

/** Seconds since the epoch that stand for "when": SOURCE_DATE_EPOCH, or the last commit's; 0 outside git. */
function sourceDate(): number {
  const given = process.env["SOURCE_DATE_EPOCH"] ?? "";
  if (/^\d{1,11}$/.test(given)) return Number(given);
  const git = Bun.which("git") === null ? undefined : Bun.spawnSync(["git", "-C", ROOT, "log", "-1", "--format=%ct"], { stdout: "pipe", stderr: "ignore" });
  return git?.success === true ? Number(git.stdout.toString().trim()) : 0;
}

/** The completion scripts, from the program's source: the binary may be for another machine. */
export function completionTexts(): Readonly<Record<Shell, string>> {
  const made = SHELLS.map((shell) => {
    const run = Bun.spawnSync([process.execPath, "src/main.ts", "completion", shell], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
    if (!run.success) throw new Error(`agent completion ${shell}: ${run.stderr.toString()}`);
    return run.stdout.toString();
  });
  const [bash = "", zsh = "", fish = ""] = made;
  return { bash, zsh, fish };
}

function main(): number {
  const plan = planPackage(process.argv.slice(2), hostTarget());
  const problem = typeof plan === "string" ? plan : existsSync(join(ROOT, "dist", plan.binary)) ? undefined : `dist/${plan.binary}: expected the built agent, found none: bun scripts/build.ts --target ${plan.target}`;
  if (typeof plan === "string" || problem !== undefined) {
    console.error(problem);
    return 64;
  }
  const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
  const { version } = JSON.parse(read("package.json"));
  const architecture = ARCHITECTURES[plan.target];
  const name = `steward_${version}_${architecture}.deb`;
  const bytes = debPackage({
    version, architecture, binary: readFileSync(join(ROOT, "dist", plan.binary)), modifiedAt: sourceDate(),
    texts: { completions: completionTexts(), config: read("packaging/agent.yaml"), desired: read("packaging/guests.yaml"), schema: json(schemaText("desired")) },
    documents: {
      "CHANGELOG.md": read("CHANGELOG.md"), "installing.md": read("docs/installing.md"), "operating.md": read("docs/operating.md"),
      "configuration.md": read("docs/configuration.md"), "desired-state.md": read("docs/desired-state.md"), "security.md": read("docs/security.md"),
    },
  });
  writeFileSync(join(ROOT, "dist", `.${name}`), bytes);
  renameSync(join(ROOT, "dist", `.${name}`), join(ROOT, "dist", name));
  console.log(`packaged dist/${name} (${(bytes.length / 1e6).toFixed(0)} MB)`);
  return 0;
}

if (import.meta.main) process.exitCode = main();
