import { readFileSync } from "node:fs";
import { join } from "node:path";
import { lineOf, type Finding } from "./source.ts";

/** A text file of the project. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** Folders and root files that are committed. */
const COMMITTED = "{.ci,bench,docs,examples,scripts,src,test}/**/*";
const COMMITTED_AT_ROOT = "*";
const TEXT_ENDING = /(?:\.(?:ts|json|jsonc|md|ya?ml|toml|lock|txt|service|sh)|\/ci-deps|\/run|LICENSE|\.gitignore)$/;
/** Recordings of a real host are data and keep what it said. */
const RECORDED = /^test\/recorded\//;

/** Every text file that is committed, by path. */
export function textFiles(root: string): readonly TextFile[] {
  const paths = [COMMITTED, COMMITTED_AT_ROOT].flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: root, dot: true, onlyFiles: true })]);
  return paths
    .filter((path) => TEXT_ENDING.test(`/${path}`) && !RECORDED.test(path))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

interface TextRule {
  readonly pattern: RegExp;
  readonly message: string;
}

/** Written so that this file does not break its own rules. */
const word = (...parts: readonly string[]): string => parts.join("");

const RULES: readonly TextRule[] = [
  { pattern: new RegExp(`\\b(?:${word("TO", "DO")}|${word("FIX", "ME")}|${word("X", "XX")}|${word("HA", "CK")})\\b`, "g"), message: "a leftover marker: do it, or open an issue" },
  { pattern: new RegExp(`(?<![\\w.])/(?:${word("wo", "rk")}|${word("ho", "me")}/\\w+|${word("Us", "ers")}/\\w+)/`, "g"), message: "a path of one machine: nobody else has it" },
  { pattern: new RegExp(word("bash", "_", "jobs"), "g"), message: "a path of one machine: nobody else has it" },
  { pattern: new RegExp(`(?<![\\w/-])${word("sha", "red")}/(?:facts|design|data)\\b`, "g"), message: "a document that is not in this repository: put the fact where the project can cite it" },
  { pattern: new RegExp(`\\b(?:registry\\.npmjs\\.org|npm\\.pkg\\.github\\.com)\\b`, "g"), message: "a registry's host: it is the installer's choice" },
  { pattern: /^(?:<{7} |={7}$|>{7} )/gm, message: "a merge conflict" },
];

/** Texts that must not be committed. */
export function textFindings(files: readonly TextFile[]): readonly Finding[] {
  return files.flatMap(({ path, text }) =>
    RULES.flatMap(({ pattern, message }) => [...text.matchAll(pattern)].map((match) => ({ at: `${path}:${lineOf(text, match.index + 1)}`, message: `"${match[0].trim()}": ${message}` }))),
  );
}
