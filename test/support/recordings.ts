import { readFileSync } from "node:fs";
import { join } from "node:path";

/** One exchange of a recording: what was asked and what a real Proxmox VE 9.2 answered. */
export interface RecordedExchange {
  /** The `########## …` heading it stands under. */
  readonly section: string;
  readonly method: string;
  readonly path: string;
  /** curl's arguments after the path, unescaped. */
  readonly arguments: readonly string[];
  /** "HTTP/1.1 200 OK" */
  readonly statusLine: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

/** Where the recordings lie in this repository; they are only ever read by tests. */
export function recordingPath(name: string): string {
  return join(import.meta.dir, "..", "recorded", name);
}

/** The exchanges of a recording, in order. Free text between them is skipped. */
export function readRecording(name: string): RecordedExchange[] {
  const exchanges: RecordedExchange[] = [];
  let section = "";
  const lines = readFileSync(recordingPath(name), "utf8").split("\n");
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? "";
    if (line.startsWith("##########")) section = line.replace(/^#+ /, "");
    if (!line.startsWith(">>> ")) continue;
    const end = lines.findIndex((later, at) => at > index && (later.startsWith(">>> ") || later.startsWith("##########")));
    exchanges.push(parseExchange(section, line.slice(4), lines.slice(index + 1, end === -1 ? undefined : end)));
  }
  return exchanges;
}

function parseExchange(section: string, request: string, response: readonly string[]): RecordedExchange {
  const [method = "", path = "", ...rest] = splitShellWords(request);
  const [statusLine = "", ...lines] = response;
  const blank = lines.indexOf("");
  const headers = lines.slice(0, blank).map((line): [string, string] => {
    const colon = line.indexOf(": ");
    return [line.slice(0, colon), line.slice(colon + 2)];
  });
  return { section, method, path, arguments: rest, statusLine, headers, body: lines.slice(blank + 1).join("\n").trim() };
}

/** Words as bash's printf %q wrote them: backslash escapes and $'…'. */
function splitShellWords(text: string): string[] {
  const words = text.match(/\$'(?:\\.|[^'])*'|(?:\\.|\S)+/gs) ?? [];
  return words.map((word) => {
    if (!word.startsWith("$'")) return word.replace(/\\(.)/gs, "$1");
    return word.slice(2, -1).replace(/\\(.)/gs, (_, char: string) => ({ n: "\n", t: "\t", r: "\r" })[char] ?? char);
  });
}
