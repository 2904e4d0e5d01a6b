import { type CST, Lexer, Parser } from "yaml";
import { DEPTH_MAX } from "./document.ts";
import { type Steps, VALUE_LENGTH_MAX, workOf } from "./steps.ts";

/** Tokens in one text; a file of 1 MiB with a few thousand everyday guests has 600,000. Bounds memory: a token takes some hundred bytes. */
export const TOKENS_MAX = 700_000;

/** Pieces beside the one document (brackets that close nothing, `---`, `...`, directives) before the text is given up: making an error of each takes long. */
const STRAY_MAX = 50;

/** Collections the library's parser may have open: above what DEPTH_MAX needs, below where its recursion ends. */
const OPEN_MAX = 4 * DEPTH_MAX;

/** What the lexer puts before a plain or block value. */
const VALUE_MARK = "\u001F";

/** A text as top-level tokens (directives, documents, strays), or the place that ended the reading. */
export type TokenReading =
  | { readonly ok: true; readonly tokens: readonly CST.Token[] }
  | { readonly ok: false; readonly kind: "syntax" | "too_large"; readonly offset: number; readonly message: string };

/** Cuts a text into tokens and puts these into each other. */
export function* readTokens(text: string, stepWork: number): Steps<TokenReading> {
  const parser = new Parser();
  const reader = new StreamReader();
  let work = 0;
  let count = 0;
  let before = "";
  for (const lexeme of new Lexer().lex(text)) {
    const refused = refusal(lexeme, before, ++count, parser);
    if (refused !== undefined) return refused;
    reader.take(parser.next(lexeme));
    if (reader.isGivenUp()) return reader.reading();
    before = lexeme;
    work += workOf(lexeme);
    if (work >= stepWork) {
      yield work;
      work = 0;
    }
  }
  yield work;
  reader.take(parser.end());
  return reader.reading();
}

function refusal(lexeme: string, before: string, count: number, parser: Parser): TokenReading | undefined {
  const tooLarge = (message: string): TokenReading => ({ ok: false, kind: "too_large", offset: parser.offset, message });
  if (count > TOKENS_MAX) return tooLarge(`expected at most ${TOKENS_MAX} words and signs in one file, found more; split it over several files`);
  if (parser.stack.length > OPEN_MAX) return tooLarge(`expected at most ${DEPTH_MAX} levels, found more`);
  if (lexeme.length > VALUE_LENGTH_MAX && isValue(lexeme, before)) return tooLarge(`expected at most ${VALUE_LENGTH_MAX} characters in one value, found ${lexeme.length}; look for a quote that is not closed`);
  return undefined;
}

function isValue(lexeme: string, before: string): boolean {
  return before === VALUE_MARK || (!lexeme.startsWith("#") && lexeme.trim() !== "");
}

/** Keeps what stands at the top of a text, except comments and white space. */
class StreamReader {
  readonly #tokens: CST.Token[] = [];

  take(found: Iterable<CST.Token>): void {
    for (const token of found) if (token.type !== "comment" && token.type !== "newline" && token.type !== "space") this.#tokens.push(token);
  }

  isGivenUp(): boolean {
    return this.#tokens.length > STRAY_MAX;
  }

  reading(): TokenReading {
    if (!this.isGivenUp()) return { ok: true, tokens: this.#tokens };
    const first = this.#tokens.find((token) => token.type === "error") ?? this.#tokens[STRAY_MAX];
    return { ok: false, kind: "syntax", offset: first?.offset ?? 0, message: "expected one document, found many signs that belong to none (brackets that close nothing, `---`, `...` or directives); remove them" };
  }
}
