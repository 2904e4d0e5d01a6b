import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { completionScript } from "../../src/install/completion.ts";
import type { CommandShape } from "../../src/install/completion-shape.ts";
import { SHELLS, type Shell } from "../../src/install/layout.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const ROOT = join(import.meta.dir, "../..");

/** The agent's own scripts, as installed. */
const SCRIPTS = new Map(SHELLS.map((shell) => [shell, Bun.spawnSync([process.execPath, "src/main.ts", "completion", shell], { cwd: ROOT, stdout: "pipe", stderr: "pipe" }).stdout.toString()]));

function run(shell: Shell, program: string, args: readonly string[]): string {
  const directory = temporaryDirectory();
  const script = join(directory, "script");
  const test = join(directory, "test");
  writeFileSync(script, SCRIPTS.get(shell) ?? "");
  writeFileSync(test, program);
  const words: Readonly<Record<Shell, readonly string[]>> = { bash: ["bash", "--norc"], zsh: ["zsh", "-f"], fish: ["fish", "--no-config"] };
  const child = Bun.spawnSync([...words[shell], test, script, ...args], { stdout: "pipe", stderr: "pipe", cwd: directory, env: { PATH: process.env["PATH"], HOME: directory, TERM: "dumb" } });
  return child.stdout.toString() + child.stderr.toString();
}

/** What each shell offers for a line whose last word is the one being written. */
const COMPLETERS: Readonly<Record<Shell, (words: readonly string[]) => readonly string[]>> = {
  bash: (words) => run("bash", `
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_agent
printf '%s\\n' "\${COMPREPLY[@]}"`, words).split("\n").filter((line) => line !== ""),
  // zsh's completion system needs a terminal; its parts are stood in for, the script's own decisions are real.
  zsh: (words) => run("zsh", `
compdef() { }
_describe() { local name="\${@[-1]}"; print -l -- "\${(@P)name}"; }
compadd() { shift; print -l -- "$@"; }
_files() { print -- FILES; }
source "$1"; shift
words=("$@") CURRENT=$#
_agent`, words).split("\n").filter((line) => line !== "").map((line) => line.split(":")[0] ?? "").filter((word) => word === "FILES" || word.startsWith(words.at(-1) ?? "")),
  fish: (words) => run("fish", `
source $argv[1]
complete -C (string join ' ' -- $argv[2..-1])`, words).split("\n").filter((line) => line !== "").map((line) => line.split("\t")[0] ?? ""),
};

const CASES: readonly { readonly line: string; readonly offers: readonly string[]; readonly not?: readonly string[] }[] = [
  { line: "agent ", offers: ["run", "plan", "status", "journal", "install", "uninstall"], not: ["completion", "--config"] },
  { line: "agent pl", offers: ["plan"], not: ["run"] },
  { line: "agent journal ", offers: ["ls", "show", "verify", "compact", "tail", "export"], not: ["plan"] },
  { line: "agent journal export -o ", offers: ["jsonl"], not: ["json", "text"] },
  { line: "agent journal ls --g", offers: ["--guest"], not: ["--output"] },
  { line: "agent plan -o ", offers: ["text", "json"], not: ["plan"] },
  { line: "agent plan --output j", offers: ["json"], not: ["text"] },
  { line: "agent --config run jour", offers: ["journal"] },
  { line: "agent install --", offers: ["--create-token", "--dry-run", "--prefix", "--config"], not: ["--purge", "--log-level"] },
  { line: "agent run --log-level ", offers: ["debug", "info", "warn", "error"] },
  { line: "agent run --dry", offers: ["--dry-run"] },
];

for (const shell of SHELLS) {
  describe.skipIf(Bun.which(shell) === null)(`${shell} (skipped where it is not installed)`, () => {
    for (const { line, offers, not = [] } of CASES) {
      test(`"${line}" offers ${offers.join(", ")}${not.length === 0 ? "" : ` and not ${not.join(", ")}`}`, () => {
        const found = COMPLETERS[shell](line.split(" "));
        expect(found).toEqual(expect.arrayContaining([...offers]));
        for (const word of not) expect(found).not.toContain(word);
      });
    }

    test("knows every command, and no script complains", () => {
      const help = Bun.spawnSync([process.execPath, "src/main.ts", "--help"], { cwd: ROOT, stdout: "pipe" }).stdout.toString();
      const listed = [...help.slice(help.indexOf("Commands:")).matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name = ""]) => name).filter((name) => name !== "help");
      expect(listed.length).toBeGreaterThan(10);
      expect(COMPLETERS[shell](["agent", ""])).toEqual(expect.arrayContaining(listed));
    });
  });
}

test.skipIf(Bun.which("bash") === null)("bash offers files for a file's option, and takes --flag=value apart as bash does", () => {
  expect(COMPLETERS.bash(["agent", "--config", "scr"])).toEqual(["script"]);
  expect(COMPLETERS.bash(["agent", "plan", "--output", "=", "j"])).toEqual(["json"]);
  expect(COMPLETERS.bash(["agent", "--config", "=", "x", "jour"])).toEqual(["journal"]);
});

describe("whatever a description says", () => {
  const words = fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 30 });
  const program = (description: string): CommandShape => ({
    name: "agent", description, choices: [], commands: [{ name: "go", description, choices: [], options: [{ names: ["--x"], description }], commands: [] }],
    options: [{ names: ["-v", "--value"], description, value: { choices: ["a", "b"], isPath: false } }],
  });
  for (const shell of SHELLS) {
    test.skipIf(Bun.which(shell) === null)(`${shell} reads nothing into it (skipped where it is not installed)`, () => {
      const path = join(temporaryDirectory(), "script");
      fc.assert(fc.property(words, (description) => {
        writeFileSync(path, completionScript(shell, program(description)));
        return Bun.spawnSync([shell, "-n", path], { stdout: "ignore", stderr: "ignore" }).exitCode === 0;
      }), { numRuns: 25, examples: [["it's $(touch /x) `x` \\"], ["a\nb"], ["'; rm -rf '"]] });
    });
  }
});
