import { SyntaxKind, type Node } from "typescript/unstable/ast";
import { lineOf, place, walk, type Finding, type Source } from "./source.ts";

/** Past these the test fails; they are no goals: a file has about 120 lines and a function about 12. */
const MAX_FILE_LINES = 500;
const MAX_FUNCTION_LINES = 70;

/** Holes in the type system, in src/. */
export function typeHoleFindings(sources: readonly Source[]): readonly Finding[] {
  return sources.filter((source) => source.path.startsWith("src/")).flatMap((source) => {
    const findings: Finding[] = [];
    walk(source, (node) => {
      const message = typeHole(node);
      if (message !== undefined) findings.push({ at: place(source, node), message });
    });
    return [...findings, ...suppressions(source)];
  });
}

function typeHole(node: Node): string | undefined {
  if (node.kind === SyntaxKind.AnyKeyword) return "any turns the compiler off: use unknown and look";
  if (node.kind === SyntaxKind.NonNullExpression) return "a non-null ! is a claim nobody checks: handle the undefined case";
  if (node.kind === SyntaxKind.AsExpression && isCastToUnknown(node.forEachChild((child) => child))) return "as unknown as forces any type onto any value: parse or narrow it";
  const isProperty = node.kind === SyntaxKind.PropertyDeclaration || node.kind === SyntaxKind.VariableDeclaration;
  if (isProperty && hasExclamation(node)) return "a definite assignment ! is a claim nobody checks: give it a value or make it optional";
  return undefined;
}

function isCastToUnknown(node: Node | undefined): boolean {
  if (node?.kind === SyntaxKind.ParenthesizedExpression) return isCastToUnknown(node.forEachChild((child) => child));
  if (node?.kind !== SyntaxKind.AsExpression) return false;
  let last: Node | undefined;
  node.forEachChild((child) => {
    last = child;
  });
  return last?.kind === SyntaxKind.UnknownKeyword;
}

function hasExclamation(node: Node): boolean {
  let hasFound = false;
  node.forEachChild((child) => {
    hasFound ||= child.kind === SyntaxKind.ExclamationToken;
  });
  return hasFound;
}

function suppressions(source: Source): readonly Finding[] {
  return [...source.text.matchAll(/@ts-(?:ignore|expect-error|nocheck)/g)].map((match) => ({
    at: `${source.path}:${lineOf(source.text, match.index)}`,
    message: `${match[0]} hides an error: mend it`,
  }));
}

export interface Size {
  readonly what: string;
  readonly lines: number;
}

/** Lines of each file, generated ones (`*.gen.ts`) left out, biggest first. */
export function fileSizes(sources: readonly Source[]): readonly Size[] {
  const sizes = sources.filter(({ path }) => !path.endsWith(".gen.ts")).map(({ path, text }) => ({ what: path, lines: text.split("\n").length - (text.endsWith("\n") ? 1 : 0) }));
  return sizes.sort((a, b) => b.lines - a.lines);
}

const FUNCTION_KINDS: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.FunctionDeclaration, SyntaxKind.FunctionExpression, SyntaxKind.ArrowFunction, SyntaxKind.MethodDeclaration,
  SyntaxKind.Constructor, SyntaxKind.GetAccessor, SyntaxKind.SetAccessor,
]);

/** Lines of each function outside tests (a describe block is no function to read), biggest first. */
export function functionSizes(sources: readonly Source[]): readonly Size[] {
  const sizes: Size[] = [];
  for (const source of sources) {
    if (source.path.startsWith("test/") || source.path.endsWith(".gen.ts")) continue;
    walk(source, (node) => {
      if (!FUNCTION_KINDS.has(node.kind)) return;
      const lines = lineOf(source.text, node.end) - lineOf(source.text, node.getStart(source.tree)) + 1;
      const name = /^[^({=]*/.exec(node.getText(source.tree))?.[0].trim().slice(0, 60);
      sizes.push({ what: `${place(source, node)} ${name || "(anonymous)"}`, lines });
    });
  }
  return sizes.sort((a, b) => b.lines - a.lines);
}

/** Files and functions that are too long. */
export function sizeFindings(sources: readonly Source[]): readonly Finding[] {
  const files = fileSizes(sources).filter(({ lines }) => lines > MAX_FILE_LINES).map(({ what, lines }) => ({ at: what, message: `${lines} lines: split it (at most ${MAX_FILE_LINES})` }));
  const functions = functionSizes(sources).filter(({ lines }) => lines > MAX_FUNCTION_LINES).map(({ what, lines }) => ({ at: what, message: `${lines} lines: split it (at most ${MAX_FUNCTION_LINES})` }));
  return [...files, ...functions];
}
