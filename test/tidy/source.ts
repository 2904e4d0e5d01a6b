import { join, relative } from "node:path";
import { forEachLeadingCommentRange, SyntaxKind, type Node, type SourceFile } from "typescript/unstable/ast";
import { API } from "typescript/unstable/async";

/** A TypeScript file of the project and its syntax tree. */
export interface Source {
  /** Relative to the project's root, with forward slashes: "src/lanes/lanes.ts". */
  readonly path: string;
  readonly text: string;
  readonly tree: SourceFile;
}

/** A broken rule: where, what, and what to do instead. */
export interface Finding {
  readonly at: string;
  readonly message: string;
}

/**
 * Parses every file that `<root>/tsconfig.json` includes with the compiler itself: rules about code
 * must not be fooled by comments, strings or line breaks. The compiler's programming interface is
 * marked unstable; package.json pins the version.
 */
export async function parseProject(root: string): Promise<readonly Source[]> {
  const api = new API({ cwd: root });
  try {
    const snapshot = await api.updateSnapshot({ openProject: join(root, "tsconfig.json") });
    const program = snapshot.getProjects()[0]?.program;
    if (program === undefined) throw new Error(`${root}: no project`);
    const sources: Source[] = [];
    for (const name of await program.getSourceFileNames()) {
      const path = relative(root, name);
      if (path.startsWith("..") || path.includes("node_modules/") || path.endsWith(".d.ts")) continue;
      const tree = await program.getSourceFile(name);
      if (tree !== undefined) sources.push({ path, text: tree.text, tree });
    }
    return sources.sort((a, b) => (a.path < b.path ? -1 : 1));
  } finally {
    await api.close();
  }
}

/** Calls `visit` for every node below the file. */
export function walk(source: Source, visit: (node: Node) => void): void {
  const step = (node: Node): void => {
    visit(node);
    node.forEachChild(step);
  };
  source.tree.forEachChild(step);
}

/** "src/lanes/lanes.ts:12", counted from 1. */
export function place(source: Source, node: Node): string {
  return `${source.path}:${lineOf(source.text, node.getStart(source.tree))}`;
}

/** The line a position is on, counted from 1. */
export function lineOf(text: string, position: number): number {
  let line = 1;
  for (let index = text.indexOf("\n"); index !== -1 && index < position; index = text.indexOf("\n", index + 1)) line++;
  return line;
}

/** The module names a file takes from elsewhere, static and dynamic, and whether only types are taken. */
export interface Import {
  readonly module: string;
  readonly isTypeOnly: boolean;
  readonly node: Node;
}

export function importsOf(source: Source): readonly Import[] {
  const imports: Import[] = [];
  walk(source, (node) => {
    if (node.kind === SyntaxKind.ImportDeclaration || node.kind === SyntaxKind.ExportDeclaration) {
      const text = node.getText(source.tree);
      const module = /(?:from\s*|^import\s*)["']([^"']+)["']/.exec(text)?.[1];
      if (module !== undefined) imports.push({ module, isTypeOnly: /^(?:import|export)\s+type\b/.test(text), node });
    }
    if (node.kind === SyntaxKind.CallExpression || node.kind === SyntaxKind.ImportType) {
      const text = node.getText(source.tree);
      const module = /^(?:import|require)\s*\(\s*["']([^"']+)["']/.exec(text)?.[1];
      if (module !== undefined) imports.push({ module, isTypeOnly: node.kind === SyntaxKind.ImportType, node });
    }
  });
  return imports;
}

/** Every block comment that stands before a top-level statement (or the end of the file), in order. */
export function topComments(source: Source): readonly string[] {
  const comments: string[] = [];
  const collect = (position: number): void =>
    forEachLeadingCommentRange(source.text, position, (start: number, end: number) => void comments.push(source.text.slice(start, end)));
  for (const statement of source.tree.statements) {
    collect(statement.pos);
    const isImport = statement.kind === SyntaxKind.ImportDeclaration;
    if (!isImport) break;
  }
  return comments;
}
