import type { YAMLError } from "yaml";

/** The parser's sentences that hold no piece of the text they complain about, by their beginnings. */
const SAFE_SENTENCES = [
  "Missing closing", "Missing , ", "Missing space after", "Implicit ", "All ", "A block sequence", "Nested mappings", "Tags and anchors",
  "Comments must be", "Block collection", "Block scalars with", "A node can have", "An alias node", "Alias ", "Anchor ", "Flow ", "Sequence item", "Not a YAML token",
];

/** What went wrong, in words that quote nothing: a desired-state file may hold a password. */
export function syntaxMessage(error: YAMLError): string {
  switch (error.code) {
    case "TAB_AS_INDENT":
      return "expected spaces, found a tab as indentation; replace it by spaces";
    case "MULTIPLE_DOCS":
      return "expected one document, found a second (`---`); put it into a file of its own";
    case "TAG_RESOLVE_FAILED":
    case "BAD_COLLECTION_TYPE":
      return "expected a plain value, found a tag (`!…`) that is not supported; remove it";
    case "BAD_DIRECTIVE":
      return "expected YAML 1.2 without directives, found a line that starts with %; remove it";
    case "BAD_DQ_ESCAPE":
      return "expected a valid escape in double quotes, found another character after the backslash; write \\\\ for a backslash";
    case "BAD_SCALAR_START":
      return "expected a value, found a character that cannot start one (such as @, ` or %); put quotes around the value";
    case "RESOURCE_EXHAUSTION":
      return "expected a few levels, found too many inside one another";
    default:
      return `expected valid YAML, found: ${safeSentence(error.message)}`;
  }
}

function safeSentence(message: string): string {
  if (SAFE_SENTENCES.some((start) => message.startsWith(start))) return message;
  return "something that does not belong here; look at this line and the one above it (an unclosed bracket or quote, a missing colon or space)";
}
