import type { DeclaredMap, DeclaredScalar, DeclaredValue } from "../guest/declared.ts";
import { nearestName } from "../document/nearest.ts";
import { subParametersOf } from "./lookup.ts";
import { SCALAR_FORMATS } from "./named-formats.ts";
import type { SubParameter, SubParameters, Parameter } from "./types.ts";

/**
 * One value against what Proxmox's schema says of its key, in every form a declaration may have. Only
 * what Proxmox certainly refuses is refused. What a list's separators are, which other spellings mean the
 * same, and whether all of it fits what is there, is normalize/'s.
 */
export interface ValueProblem {
  /** The sub-key of a property string that is meant; undefined: the whole value. */
  readonly subKey?: string;
  /** The sub-key's name is wrong, not its value. */
  readonly isUnknownSubKey?: boolean;
  /** Completes "expected …". */
  readonly expected: string;
  /** The part of the value that is wrong, or what it is. A secret's must not be shown. */
  readonly found: string;
  /** Completes the message: what to do. */
  readonly advice?: string;
}

/** Every problem of `value`; `null` (must be absent) has none. */
export function checkValue(parameter: Parameter, value: DeclaredValue): readonly ValueProblem[] {
  if (value === null) return [];
  const subParameters = subParametersOf(parameter);
  if (subParameters !== undefined) return checkProperties(parameter, subParameters, value);
  if (isList(value)) return listProblem(parameter, value);
  if (typeof value === "object") return [{ expected: expectedOf(parameter), found: "a map" }];
  return problemsOf(checkScalar(parameter, value));
}

function problemsOf(problem: ValueProblem | undefined): readonly ValueProblem[] {
  return problem === undefined ? [] : [problem];
}

function isList(value: DeclaredValue): value is readonly DeclaredScalar[] {
  return Array.isArray(value);
}

/** Text takes lists where normalize/ knows what joins them; numbers and booleans never do. */
function listProblem(parameter: Parameter, value: readonly DeclaredScalar[]): readonly ValueProblem[] {
  if (parameter.type !== "string" || parameter.enum !== undefined) return [{ expected: expectedOf(parameter), found: `a list of ${value.length}` }];
  const format = typeof parameter.format === "string" && parameter.format.endsWith("-list") ? SCALAR_FORMATS[parameter.format] : undefined;
  const wrong = format === undefined ? undefined : value.map(String).find((item) => !format.accepts(item));
  return format === undefined || wrong === undefined ? [] : [{ expected: format.expected, found: wrong }];
}

function checkScalar(parameter: Partial<Parameter>, value: DeclaredScalar): ValueProblem | undefined {
  const text = typeof value === "string" ? value.trim() : String(value);
  // A blank means absent where Proxmox takes one (docs/proxmox.md row 1); normalize/ knows where.
  if (text === "") return undefined;
  switch (parameter.type) {
    case "boolean":
      return /^(?:[01]|on|off|yes|no|true|false)$/i.test(text) ? undefined : wrong(parameter, text);
    case "integer":
    case "number":
      return isNumber(parameter, text) ? undefined : wrong(parameter, text);
    case "string":
    case undefined:
      return checkText(parameter, text);
  }
}

/** As Perl reads numbers: no `0x10`. */
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

function isNumber({ type, minimum, maximum }: Partial<Parameter>, text: string): boolean {
  const number = NUMBER.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(number) || (type === "integer" && !Number.isInteger(number))) return false;
  return number >= (minimum ?? Number.NEGATIVE_INFINITY) && number <= (maximum ?? Number.POSITIVE_INFINITY);
}

function checkText(parameter: Partial<Parameter>, text: string): ValueProblem | undefined {
  if (parameter.enum !== undefined && !parameter.enum.includes(text)) {
    const nearest = nearestName(text, parameter.enum);
    return { ...wrong(parameter, text), ...(nearest === undefined ? {} : { advice: `did you mean \`${nearest}\`?` }) };
  }
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = parameter;
  const count = text.length > maxLength ? countCharacters(text) : text.length;
  if (count < minLength || count > maxLength) return wrong(parameter, `${count} characters`);
  if (parameter.pattern !== undefined && !patternOf(parameter.pattern).test(text)) return wrong(parameter, text);
  const format = typeof parameter.format === "string" ? SCALAR_FORMATS[parameter.format] : undefined;
  return format === undefined || format.accepts(text) ? undefined : { expected: format.expected, found: text };
}

/** As Proxmox counts: an emoji is one. */
function countCharacters(text: string): number {
  return Array.from(text).length;
}

function wrong(parameter: Partial<Parameter>, found: string): ValueProblem {
  return { expected: expectedOf(parameter), found };
}

// The schema's patterns are few and fixed.
const patterns = new Map<string, RegExp>();

function patternOf(pattern: string): RegExp {
  const known = patterns.get(pattern) ?? new RegExp(`^(?:${pattern})$`);
  patterns.set(pattern, known);
  return known;
}

/** What a value of this parameter is, in words. */
function expectedOf({ type, enum: choices, minimum, maximum, minLength, maxLength, pattern, format }: Partial<Parameter>): string {
  if (choices !== undefined) return choices.length === 1 ? `\`${choices[0]}\`` : `one of ${choices.join(", ")}`;
  if (type === "boolean") return "true or false (1 or 0)";
  if (type === "integer" || type === "number") return `${type === "integer" ? "a whole number" : "a number"}${rangeOf(minimum, maximum)}`;
  if (typeof format === "string" && SCALAR_FORMATS[format] !== undefined) return SCALAR_FORMATS[format].expected;
  if (pattern !== undefined) return PATTERN_WORDS[pattern] ?? `text of the form ${pattern}`;
  return minLength === undefined && maxLength === undefined ? "text" : `text${rangeOf(minLength, maxLength)} characters`;
}

/** Patterns that nobody should have to read, in words. A test holds them against the schema. */
export const PATTERN_WORDS: Readonly<Record<string, string>> = {
  "(?:(?:\\w+=[^\\x00-\\x08\\x0a-\\x1F\\x7F]*)(?:\\0\\w+=[^\\x00-\\x08\\x0a-\\x1F\\x7F]*)*)": "a list of NAME=value",
  "(?:[^\\x00-\\x08\\x0a-\\x1F\\x7F]+)": "one line of text",
  "(?:0[xX][0-9a-fA-F]{16})": "a world wide name such as 0x5000c500a1b2c3d4",
  "(/dev/[^,]+|socket)": "a path under /dev, or socket",
  "[acdn]{1,4}": "`order=` and devices such as order=scsi0;net0, or letters of c (disk), d (CD drive) and n (network)",
  "(ide|sata|scsi|virtio)\\d+": "a disk such as scsi0",
  "(?:ide|sata|scsi|virtio|unused|net|usb|hostpci)\\d+": "devices such as scsi0;net0",
  "(?:(?:(discard|lazytime|noatime|nodev|noexec|nosuid))(;(?:(discard|lazytime|noatime|nodev|noexec|nosuid)))*)": "some of discard, lazytime, noatime, nodev, noexec, nosuid",
  "(?:\\d+(?:-\\d+)?(?:;\\d+(?:-\\d+)?)*)": "numbers and ranges such as 2;5-7",
  "(?:\\d+(?:;\\d+)*)": "numbers such as 2;5",
  "[a-zA-Z0-9]{1,12}": "1 to 12 letters or digits",
  "0[0-7]{3}": "a file mode such as 0660",
  "(pc|pc(-i440fx)?-\\d+(\\.\\d+)+(\\+pve\\d+)?(\\.pxe)?|q35|pc-q35-\\d+(\\.\\d+)+(\\+pve\\d+)?(\\.pxe)?|virt(?:-\\d+(\\.\\d+)+)?(\\+pve\\d+)?)": "pc, q35 or virt, or one of them with its version such as pc-q35-9.2 or pc-i440fx-9.2+pve1",
  "(?:(?:(?:(?:(0x)?([0-9A-Fa-f]{4}):(0x)?([0-9A-Fa-f]{4})))|(?:(?:(\\d+)\\-(\\d+(\\.\\d+)*)))|[Ss][Pp][Ii][Cc][Ee]))": "a device such as 046d:c52b, a port such as 1-2.3, or spice",
  "(now|\\d{4}-\\d{1,2}-\\d{1,2}(T\\d{1,2}:\\d{1,2}:\\d{1,2})?)": "now, a date such as 2026-01-31, or a date and time such as 2026-01-31T12:00:00",
};

function rangeOf(minimum: number | undefined, maximum: number | undefined): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return ` of at least ${minimum}`;
  return maximum === undefined ? "" : ` of at most ${maximum}`;
}

function checkProperties(parameter: Parameter, subParameters: SubParameters, value: Exclude<DeclaredValue, null>): readonly ValueProblem[] {
  // A boot order is a list by nature, and normalize/ takes one for it.
  if (isList(value)) return parameter.format === "pve-qm-boot" ? [] : [{ expected: shapeOf(subParameters), found: `a list of ${value.length}` }];
  if (typeof value === "object") return checkMap(subParameters, value);
  const text = typeof value === "boolean" ? (value ? "1" : "0") : String(value).trim();
  const { maxLength = Number.POSITIVE_INFINITY } = parameter;
  if (countCharacters(text) > maxLength) return [wrong({ type: "string", maxLength }, `${countCharacters(text)} characters`)];
  // Of a startup order the last of repetitions counts; Proxmox does not read it as a property string.
  return checkPropertyText(subParameters, text, parameter.format !== "pve-startup-order");
}

/** Problems told of one value: every name that is not known costs a search for the nearest. */
const VALUE_PROBLEMS_MAX = 20;

function checkMap(subParameters: SubParameters, map: DeclaredMap): readonly ValueProblem[] {
  const problems: ValueProblem[] = [];
  for (const name of Object.keys(map)) {
    const problem = checkMapEntry(subParameters, name, map[name] ?? null);
    if (problem !== undefined) problems.push(problem);
    if (problems.length >= VALUE_PROBLEMS_MAX) break;
  }
  return problems;
}

function checkMapEntry(subParameters: SubParameters, name: string, value: DeclaredMap[string]): ValueProblem | undefined {
  const sub = subParameterOf(subParameters, name);
  if (sub === undefined) return unknownSubKey(subParameters, name);
  if (value === null) return undefined;
  // A list is joined by normalize/ where the sub-key has one.
  return typeof value === "object" ? checkSubList(name, sub, value.map(String)) : checkSubValue(name, sub, value);
}

/** Reads "value,key=value" as Proxmox reads it (docs/proxmox.md row 6). */
function checkPropertyText(subParameters: SubParameters, text: string, isOnce: boolean): readonly ValueProblem[] {
  const problems: ValueProblem[] = [];
  const seen = new Set<string>();
  for (const part of partsOf(text).map((item) => item.trim()).filter((item) => item !== "")) {
    const problem = checkPart(subParameters, part, seen);
    if (!isOnce) seen.clear();
    if (problem !== undefined) problems.push(problem);
    if (problems.length >= VALUE_PROBLEMS_MAX) break;
  }
  return problems;
}

/** A value in double quotes runs to the closing one, commas and all. */
const PART = /(?:=\s*"[^"]*"|[^,])+/g;

function partsOf(text: string): readonly string[] {
  return text.includes('"') ? (text.match(PART) ?? []) : text.split(",");
}

function checkPart(subParameters: SubParameters, part: string, seen: Set<string>): ValueProblem | undefined {
  const equals = part.indexOf("=");
  const name = equals === -1 ? defaultKeyOf(subParameters) : part.slice(0, equals).trimEnd();
  if (name === undefined) return { expected: shapeOf(subParameters), found: part };
  const sub = subParameterOf(subParameters, name);
  if (sub === undefined) return unknownSubKey(subParameters, name);
  const plain = subParameters[name]?.alias ?? name;
  if (seen.has(plain)) return { subKey: name, expected: "every sub-key once", found: `\`${plain}\` twice` };
  seen.add(plain);
  return checkSubValue(name, sub, equals === -1 ? part : part.slice(equals + 1));
}

function defaultKeyOf(subParameters: SubParameters): string | undefined {
  return Object.keys(subParameters).find((name) => subParameters[name]?.isDefaultKey === true);
}

/** What a sub-key's value must be; another name has the meaning of the one it stands for. */
function subParameterOf(subParameters: SubParameters, name: string): SubParameter | undefined {
  const named = Object.hasOwn(subParameters, name) ? subParameters[name] : undefined;
  return named?.alias === undefined ? named : subParameters[named.alias];
}

/** Lists within a property string, whose items a declaration may separate in other ways than Proxmox prints them (docs/proxmox.md row 7). */
const SUB_LISTS: ReadonlySet<string> = new Set(["cpus", "flags", "hostnodes", "mount", "mountoptions", "order", "trunks"]);

function checkSubValue(name: string, sub: SubParameter, value: DeclaredScalar): ValueProblem | undefined {
  if (sub.type === "string" && SUB_LISTS.has(name)) return checkSubList(name, sub, String(value).split(/[,;\s]+/));
  const problem = checkScalar(sub, value);
  return problem === undefined ? undefined : { ...problem, subKey: name };
}

/** The schema's pattern of a list is one of its items', too. */
function checkSubList(name: string, sub: SubParameter, items: readonly string[]): ValueProblem | undefined {
  const { pattern } = sub;
  if (pattern === undefined || !SUB_LISTS.has(name)) return undefined;
  const item = items.map((each) => each.trim()).find((each) => each !== "" && !patternOf(pattern).test(each));
  return item === undefined ? undefined : { ...wrong(sub, item), subKey: name };
}

function unknownSubKey(subParameters: SubParameters, name: string): ValueProblem {
  const names = Object.keys(subParameters);
  const nearest = nearestName(name, names);
  const plain = names.filter((known) => subParameters[known]?.alias === undefined);
  return {
    subKey: name,
    isUnknownSubKey: true,
    expected: "a sub-key that Proxmox knows here",
    found: `\`${name}\``,
    advice: nearest === undefined ? `known: ${plain.join(", ")}` : `did you mean \`${nearest}\`?`,
  };
}

/** How a property string is written: "a map or text such as `model=…,bridge=…`". */
function shapeOf(subParameters: SubParameters): string {
  const names = Object.keys(subParameters).filter((name) => subParameters[name]?.alias === undefined).slice(0, 2);
  return `a map or text such as ${names.map((name) => `${name}=…`).join(",")}`;
}
