import { isScalar, type YAMLError } from "yaml";
import { Builder, type Say } from "./builder.ts";
import { Composition } from "./compose.ts";
import { type DocumentPosition, type DocumentProblem, type DocumentResult, formatPosition, PROBLEMS_MAX } from "./document.ts";
import { Lines } from "./lines.ts";
import { finish, STEP_WORK, type Steps } from "./steps.ts";
import { syntaxMessage } from "./syntax-message.ts";
import { readTokens } from "./tokens.ts";

/**
 * Parses YAML 1.2 (core schema), or JSON where the name ends in `.json`, into a tree with positions.
 * One document a text; explicit tags other than the core ones, duplicate keys, keys that are not
 * text and texts that hold nothing are refused. Several problems are told at once, in order.
 */
export function parseDocument(file: string, text: string): DocumentResult {
  return finish(parseInSteps(file, text));
}

/** `parseDocument` in steps: a large text takes about a second altogether. @param stepWork nothing but the steps depends on it */
export function* parseInSteps(file: string, text: string, stepWork: number = STEP_WORK): Steps<DocumentResult> {
  const lines = new Lines(text);
  const positionAt = (offset: number): DocumentPosition => ({ file, ...lines.at(offset) });
  const say: Say = (kind, offset, message) => ({ kind, message: `${formatPosition(positionAt(offset))}: ${message}` });
  const reading = yield* readTokens(text, stepWork);
  if (!reading.ok) return { ok: false, problems: [say(reading.kind, reading.offset, reading.message)] };
  const composition = yield* Composition.of(reading.tokens, text.length, stepWork);
  const builder = new Builder(composition, say);
  const { document } = composition;
  const root = document === undefined ? undefined : yield* builder.build(document.contents, 0);
  const syntax = syntaxProblems(file, text, composition, say);
  if (syntax.length > 0) return { ok: false, problems: syntax };
  if (root === undefined || builder.problems.length > 0) return { ok: false, problems: builder.problems };
  return { ok: true, tree: { file, root, size: builder.size(), positionAt } };
}

function syntaxProblems(file: string, text: string, { errors, document }: Composition, say: Say): DocumentProblem[] {
  const found: readonly YAMLError[] = errors.toSorted((left, right) => left.pos[0] - right.pos[0]);
  // One unclosed bracket inside another is one thing to mend: the same words for the same place are said once.
  const said = new Map(found.slice(0, PROBLEMS_MAX * 10).map((error) => [`${error.pos[0]} ${error.code}`, error] as const));
  const problems = [...said.values()].slice(0, PROBLEMS_MAX).map((error) => say("syntax", error.pos[0], syntaxMessage(error)));
  if (problems.length > 0) return problems;
  const explicitVersion = document?.directives.yaml;
  if (explicitVersion?.explicit === true && explicitVersion.version !== "1.2") {
    return [say("syntax", 0, "expected YAML 1.2, found a %YAML directive for another version; remove it")];
  }
  if (document === undefined || document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    return [say("empty", 0, "expected a document, found nothing; an empty or truncated file is never taken for an empty declaration")];
  }
  if (file.endsWith(".json") && !isJson(text)) {
    return [say("syntax", 0, "expected JSON because the name ends in .json, found YAML; rename the file to .yaml")];
  }
  return [];
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
