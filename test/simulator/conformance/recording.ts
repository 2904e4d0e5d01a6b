import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ApiMethod, Parameters, ParameterValue } from "../../../src/simulator/api.ts";

/**
 * The recordings of a real Proxmox VE 9.2.11 in test/recorded/, read as steps: requests with their
 * answers, and what was looked at in between. Lines that are neither are kept out.
 */

export interface RecordedAnswer {
  readonly status: number;
  readonly reason: string;
  /** Parsed JSON body; undefined when none was recorded. */
  readonly body: unknown;
  /** Both `Connection: close` and `Connection: Keep-Alive`; undefined when no headers were recorded. */
  readonly isProxied: boolean | undefined;
}

export interface RecordedRequest {
  readonly kind: "request";
  readonly line: number;
  readonly method: ApiMethod;
  readonly path: string;
  readonly parameters: Parameters;
  /** root@pam by ticket. */
  readonly isByTicket: boolean;
  readonly answer: RecordedAnswer;
}

/** A single key of a guest's configuration, as `jq` printed it; with what the file had, if that was printed. */
export interface RecordedKeys {
  readonly kind: "keys";
  readonly line: number;
  readonly guest: string;
  readonly key: string;
  readonly merged?: unknown;
  readonly current?: unknown;
  /** Undefined: not printed; null: the key is not in /pending. */
  readonly pending?: unknown;
}

export interface RecordedFile {
  readonly kind: "file";
  readonly line: number;
  readonly vmid: number;
  readonly text: string;
}

/** A whole configuration or /pending list without its request. */
export interface RecordedConfig {
  readonly kind: "config";
  readonly line: number;
  readonly body: unknown;
}

export interface RecordedSection {
  readonly kind: "section";
  readonly line: number;
  readonly title: string;
}

export type Step = RecordedRequest | RecordedKeys | RecordedFile | RecordedConfig | RecordedSection;

const DIRECTORY = join(import.meta.dir, "../../recorded");

export function readRecording(name: string): Step[] {
  return new Reader(readFileSync(join(DIRECTORY, `${name}.txt`), "utf8")).read();
}

export function readStartState(): { files: Record<string, string>; vmlist: { version: number; ids: Record<string, { node: string; type: "qemu" | "lxc"; version: number }> } } {
  return JSON.parse(readFileSync(join(DIRECTORY, "start-state.json"), "utf8"));
}

const PRINTED_LENGTH_MAX = 300;

class Reader {
  readonly #lines: readonly string[];
  readonly #steps: Step[] = [];
  #at = 0;
  /** Shorthand blocks name their guest once. */
  #guest = "qemu/101";

  constructor(text: string) {
    this.#lines = text.split("\n");
  }

  read(): Step[] {
    while (this.#at < this.#lines.length) this.#step();
    return this.#steps;
  }

  #step(): void {
    const line = this.#lines[this.#at] ?? "";
    const request = /^(?:\{.*\})?>>> (?:(\(ticket\)) )?(GET|PUT|POST|DELETE) (\S+)(.*)$/.exec(line);
    if (line.startsWith("########## ")) this.#section(line);
    else if (request !== null) this.#request(request);
    else if (line.startsWith("PUT json ")) this.#jsonShorthand(line);
    else if (/^PUT (?:lxc\/\d+ )?[a-z]\w*=/.test(line)) this.#shorthand(line);
    else if (line.startsWith("--- file ")) this.#file(line);
    else {
      this.#bareConfig(line);
      this.#at++;
    }
  }

  #section(line: string): void {
    const title = line.slice("########## ".length);
    if (title.startsWith("lxc description")) this.#guest = "lxc/200";
    else if (title.startsWith("description absent")) this.#guest = "qemu/101";
    this.#steps.push({ kind: "section", line: this.#at + 1, title });
    this.#at++;
  }

  #request(match: RegExpExecArray): void {
    const line = this.#at + 1;
    const [, ticket, method = "", target = "", rest = ""] = match;
    this.#at++;
    const [path = "", query = ""] = target.replace(/^\/api2\/json/, "").split("?");
    const parameters = { ...parseForm(query), ...parametersOf(shellWords(rest)) };
    if (match[0].length === PRINTED_LENGTH_MAX) this.#restoreCut(parameters);
    const answer = this.#answer();
    if (answer !== undefined) {
      this.#steps.push({ kind: "request", line, method: method as ApiMethod, path, parameters, isByTicket: ticket !== undefined, answer });
    }
  }

  /** Long command lines were cut when they were printed: this section's descriptions are 8193 and 8192 characters long. */
  #restoreCut(parameters: Record<string, ParameterValue>): void {
    const isFirst = this.#steps.at(-1)?.kind === "section";
    parameters["description"] = "x".repeat(isFirst ? 8193 : 8192);
  }

  /** The status line, headers and body that follow. */
  #answer(): RecordedAnswer | undefined {
    const status = /^HTTP\/1\.1 (\d+) ?(.*)$/.exec(this.#lines[this.#at] ?? "");
    if (status === null) return undefined;
    this.#at++;
    const headers: string[] = [];
    while (/^[A-Z][A-Za-z-]+: /.test(this.#lines[this.#at] ?? "")) headers.push(this.#lines[this.#at++] ?? "");
    if (headers.length > 0 && this.#lines[this.#at] === "") this.#at++;
    const body = parseJson(firstJson(this.#lines[this.#at] ?? ""));
    if (body !== undefined && !(this.#lines[this.#at] ?? "").includes(">>>")) this.#at++;
    const isProxied = headers.length === 0 ? undefined : headers.includes("Connection: close") && headers.includes("Connection: Keep-Alive");
    return { status: Number(status[1]), reason: status[2] ?? "", body, isProxied };
  }

  /** `PUT [lxc/200] key=value`, its answer, and the key as read back. */
  #shorthand(text: string): void {
    const line = this.#at + 1;
    const oneLine = /^PUT (.*) -> (\d+) (\{.*\})$/.exec(text);
    const words = (oneLine?.[1] ?? text.slice("PUT ".length)).replace(/^(lxc\/\d+) /, (_, guest: string) => {
      this.#guest = guest;
      return "";
    });
    const isQuoted = words.startsWith("description=") && /\\|\$'|''/.test(words);
    const parameters = isQuoted ? parametersOf(["-d", shellWords(words)[0] ?? ""]) : plainParameters(words, this.#guest.startsWith("lxc"));
    this.#at++;
    const [kind = "", vmid = ""] = this.#guest.split("/");
    const answer = oneLine === null ? this.#shorthandAnswer() : { status: Number(oneLine[2]), reason: "", body: parseJson(oneLine[3] ?? ""), isProxied: undefined };
    this.#steps.push({ kind: "request", line, method: "PUT", path: `/nodes/pve1/${kind}/${vmid}/config`, parameters, isByTicket: false, answer });
    const [first] = Object.entries(parameters);
    this.#readBack(first?.[0] ?? "", typeof first?.[1] === "string" ? first[1] : "");
  }

  #shorthandAnswer(): RecordedAnswer {
    const answer = this.#answer();
    if (answer !== undefined) return answer;
    const body = parseJson(this.#lines[this.#at++] ?? "");
    return { status: 200, reason: "OK", body, isProxied: undefined };
  }

  #readBack(parameter: string, value: string): void {
    for (; ; this.#at++) {
      const text = this.#lines[this.#at] ?? "";
      const key = parameter === "delete" ? value : parameter;
      const common = { kind: "keys", line: this.#at + 1, guest: this.#guest } as const;
      const views = /^\s+current=0: (.*?)   current=1: (.*?)   pending: (.*)$/.exec(text);
      const read = /^\s+GET (?:(\S+) )?-> (.*?)(?:   file: .*)?$/.exec(text);
      if (views !== null) {
        const pending = views[3] === "" ? null : parseJson(views[3] ?? "");
        this.#steps.push({ ...common, key, merged: parseJson(views[1] ?? ""), current: parseJson(views[2] ?? ""), pending });
      } else if (read !== null) {
        const name = read[1] ?? key;
        if (!name.includes(",") && name !== "digest") this.#steps.push({ ...common, key: name, merged: parseJson(read[2] ?? "") });
      } else if (!/^\s+file: /.test(text)) return;
    }
  }

  /** `PUT json {…} -> {…}  cfg: {…}` */
  #jsonShorthand(text: string): void {
    const [, given = "", body = "", config = ""] = /^PUT json (\{.*?\}) -> (\{.*\})  cfg: (\{.*\})$/.exec(text) ?? [];
    const line = ++this.#at;
    const message = (parseJson(body) as { message?: string } | undefined)?.message;
    const answer = { status: message === undefined ? 200 : 500, reason: "", body: parseJson(body), isProxied: undefined };
    const parameters = parseJson(given) as Parameters;
    this.#steps.push({ kind: "request", line, method: "PUT", path: "/nodes/pve1/qemu/101/config", parameters, isByTicket: false, answer });
    this.#steps.push({ kind: "config", line, body: { data: parseJson(config) } });
  }

  #file(text: string): void {
    const line = this.#at + 1;
    const vmid = Number(/(\d+)\.conf/.exec(text)?.[1]);
    const content: string[] = [];
    for (this.#at++; this.#lines[this.#at] !== "---"; this.#at++) content.push(this.#lines[this.#at] ?? "");
    this.#at++;
    this.#steps.push({ kind: "file", line, vmid, text: content.map((each) => `${each}\n`).join("") });
  }

  #bareConfig(text: string): void {
    const body = text.startsWith("{") ? parseJson(text.slice(text.lastIndexOf('{"data"'))) : undefined;
    const data = (body as { data?: unknown } | undefined)?.data;
    const isConfig = typeof data === "object" && data !== null && ("digest" in data || (Array.isArray(data) && data.some((row) => row?.key === "digest")));
    if (isConfig) this.#steps.push({ kind: "config", line: this.#at + 1, body });
  }
}

function firstJson(line: string): string {
  return line.includes(">>>") ? "" : line;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Words of a bash command line as `printf %q` wrote them. */
function shellWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at);
    const quoted = /^\$'((?:[^'\\]|\\.)*)'/s.exec(rest) ?? /^'([^']*)'/s.exec(rest);
    if (quoted !== null) {
      word = (word ?? "") + (rest.startsWith("$") ? unescapeAnsi(quoted[1] ?? "") : (quoted[1] ?? ""));
      at += quoted[0].length;
    } else if (rest.startsWith("\\")) {
      word = (word ?? "") + rest.charAt(1);
      at += 2;
    } else if (rest.startsWith(" ")) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at++;
    } else {
      word = (word ?? "") + rest.charAt(0);
      at++;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

function unescapeAnsi(text: string): string {
  const known: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
  return text.replace(/\\(.)/gs, (_, character: string) => known[character] ?? character);
}

/** curl's -d, --data-urlencode and JSON bodies. */
function parametersOf(words: readonly string[]): Parameters {
  const isJson = words.some((word) => word.startsWith("Content-Type: application/json"));
  const parameters: Record<string, ParameterValue> = {};
  words.forEach((word, index) => {
    if (word !== "-d" && word !== "--data-urlencode") return;
    const data = words[index + 1] ?? "";
    if (isJson) Object.assign(parameters, parseJson(data));
    else addParameter(parameters, data);
  });
  return parameters;
}

function parseForm(query: string): Parameters {
  const parameters: Record<string, ParameterValue> = {};
  for (const part of query.split("&")) if (part !== "") addParameter(parameters, decodeURIComponent(part));
  return parameters;
}

function addParameter(parameters: Record<string, ParameterValue>, pair: string): void {
  const equals = pair.indexOf("=");
  const [name, value] = [pair.slice(0, equals), pair.slice(equals + 1)];
  const known = parameters[name];
  parameters[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
}

/** Unquoted shorthand: blanks belong to the value, but containers' lines may hold two pairs. */
function plainParameters(words: string, mayHoldTwo: boolean): Parameters {
  const parameters: Record<string, ParameterValue> = {};
  for (const pair of mayHoldTwo ? words.split(/ (?=[a-z]+=)/) : [words]) addParameter(parameters, pair);
  return parameters;
}
