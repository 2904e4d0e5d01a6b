import { createHash } from "node:crypto";
import type { GuestKind } from "../../guest/key.ts";
import { Died } from "./died.ts";
import { compareText, isTrue, parseBoolean, splitLines } from "./perl.ts";
import { configOption, isLxcVolume, isQemuDrive } from "./schema.ts";
import { decodeText, encodeText } from "./text.ts";
import { checkFormat, parsePropertyString } from "./verify.ts";

/**
 * Guest configuration files, read and written as Proxmox does: what it drops, what it keeps, what it
 * turns into what. The digest is the SHA-1 of the file's bytes, so every detail of the rendering is
 * part of the API (docs/proxmox.md rows 9, 10, 14-16).
 */

/** Keys to values. A null is what JSON's null leaves behind: a key without a value. */
export type Section = Map<string, string | null>;

export interface GuestConfigFile {
  /** SHA-1 of the text that was parsed. */
  readonly digest: string;
  readonly main: Section;
  readonly pending: Section;
  /** Server-owned sections of QEMU guests: what the cloud-init drive does not show yet. */
  readonly special: Map<string, Section>;
  readonly snapshots: Map<string, Section>;
  /** Raw `lxc.*` lines by section ("" is main), in order. */
  readonly rawLines: Map<string, (readonly [string, string])[]>;
}

const KEY_LINE = /^([a-z][a-z_-]*\d*):\s*([^\n]+?)\s*$/;
const LXC_KEY_LINE = /^([a-z][a-z_]*\d*):\s*([^\n]+?)\s*$/;
const RAW_LINE = /^(lxc\.[a-z0-9_\-.]+)(?::|\s*=)\s*(.*?)\s*$/;
const SECTION_NAME = /^\[([a-z][a-z0-9_-]+)\]\s*$/i;
const SPECIAL_SECTION = /^\[special:(cloudinit|fleecing)\]\s*$/i;

function digestOf(text: string): string {
  return createHash("sha1").update(text, "utf8").digest("hex");
}

/** Parses a file's text; never fails, as Proxmox never does. */
export function parseConfig(kind: GuestKind, text: string): GuestConfigFile {
  return new Parser(kind, text).parse();
}

class Parser {
  readonly #kind: GuestKind;
  readonly #text: string;
  readonly #file: GuestConfigFile;
  #section: Section | undefined;
  #sectionName = "";
  #description: string | undefined;

  constructor(kind: GuestKind, text: string) {
    this.#kind = kind;
    this.#text = text;
    this.#file = { digest: digestOf(text), main: new Map(), pending: new Map(), special: new Map(), snapshots: new Map(), rawLines: new Map() };
    this.#section = this.#file.main;
  }

  parse(): GuestConfigFile {
    for (const line of splitLines(this.#text)) if (!/^\s*$/.test(line)) this.#takeLine(line);
    this.#finishDescription();
    return this.#file;
  }

  #takeLine(line: string): void {
    if (line.startsWith("[") && this.#openSection(line)) return;
    if (this.#section === undefined) return;
    if (line.startsWith("#")) this.#description = `${this.#description ?? ""}${decodeText(line.slice(1))}\n`;
    else if (/^description:\s*\S/.test(line)) this.#description = `${this.#description ?? ""}${decodeText(line.slice("description:".length).trim())}`;
    else this.#takeOption(line, this.#section);
  }

  /** False when the line is none that opens a section. */
  #openSection(line: string): boolean {
    const special = this.#kind === "qemu" ? SPECIAL_SECTION.exec(line)?.[1]?.toLowerCase() : undefined;
    const isPending = this.#kind === "qemu" ? /^\[PENDING\]\s*$/i.test(line) : /^\[pve:pending\]\s*$/i.test(line);
    const name = SECTION_NAME.exec(line)?.[1];
    const isUnknown = this.#kind === "qemu" && /^\[[^\]]*\]\s*$/.test(line);
    if (!isPending && special === undefined && name === undefined && !isUnknown) return false;
    this.#finishDescription();
    const opened: Section = new Map();
    if (isPending) this.#openPending();
    else {
      this.#section = special === undefined && name === undefined ? undefined : opened;
      this.#sectionName = special === undefined ? (name ?? "") : `special:${special}`;
      if (special !== undefined) this.#file.special.set(special, opened);
      else if (name !== undefined) this.#file.snapshots.set(name, opened);
    }
    return true;
  }

  #openPending(): void {
    this.#file.pending.clear();
    this.#section = this.#file.pending;
    this.#sectionName = "pending";
  }

  #takeOption(line: string, section: Section): void {
    const raw = this.#kind === "lxc" ? RAW_LINE.exec(line) : null;
    if (raw !== null) {
      const name = this.#sectionName;
      const lines = this.#file.rawLines.get(name) ?? [];
      lines.push([raw[1] ?? "", raw[2] ?? ""]);
      this.#file.rawLines.set(name, lines);
      return;
    }
    const match = (this.#kind === "qemu" ? KEY_LINE : LXC_KEY_LINE).exec(line);
    if (match === null) return;
    const [, key = "", value = ""] = match;
    if (key === "snapstate") return;
    if (key === "delete") {
      if (section === this.#file.pending) section.set(key, value.trim());
    } else this.#storeOption(key, value, section);
  }

  /** QEMU drops what it cannot parse (and loses it at the next write), a container keeps it (docs/proxmox.md row 9). */
  #storeOption(key: string, value: string, section: Section): void {
    if (this.#sectionName === "special:cloudinit") section.set(key, value);
    else {
      const checked = checkStoredValue(this.#kind, key, value);
      if (checked.ok) section.set(this.#kind === "qemu" && key === "cdrom" ? "ide2" : key, checked.value);
      else if (this.#kind === "lxc") section.set(key, value);
    }
  }

  #finishDescription(): void {
    if (this.#description !== undefined && this.#section !== undefined) {
      if (this.#kind === "qemu") this.#section.set("description", this.#description.replace(/\s+$/, ""));
      else if (isTrue(this.#description)) this.#section.set("description", this.#description);
    }
    this.#description = undefined;
  }
}

type Checked = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly problem: string };

/** What Proxmox makes of a value between file and memory: booleans 1/0, integers without leading zeros. */
function checkStoredValue(kind: GuestKind, key: string, value: string | null): Checked {
  const schema = configOption(kind, key);
  if (schema === undefined) return { ok: false, problem: `unknown setting '${key}'\n` };
  if (value === null) return { ok: false, problem: "got undefined value\n" };
  if (/[\n\r]/.test(value)) return { ok: false, problem: "property contains a line feed\n" };
  if (schema.type === "boolean") return checkedOr(parseBoolean(value), schema.type, value);
  if (schema.type === "integer") return checkedOr(/^\d+$/.test(value) ? BigInt(value).toString() : undefined, schema.type, value);
  if (schema.type === "number") return checkedOr(/^\d+(\.\d+)?$/.test(value) ? value : undefined, schema.type, value);
  if (schema.format !== undefined) {
    const problem = checkFormat(schema.format, value);
    return problem === undefined ? { ok: true, value } : { ok: false, problem };
  }
  return { ok: true, value: kind === "qemu" && key !== "args" ? value.replace(/^"(.*)"$/, "$1") : value };
}

function checkedOr(value: string | undefined, type: string, given: string): Checked {
  return value === undefined ? { ok: false, problem: `type check ('${type}') failed - got '${given}'\n` } : { ok: true, value };
}

/** The file's text; dies where Proxmox refuses to write. `file` is tidied on the way, as Proxmox tidies it. */
export function renderConfig(kind: GuestKind, file: GuestConfigFile): string {
  if (kind === "qemu") tidyQemu(file);
  dropUsedUnused(kind, file.main);
  const parts = [renderSection(kind, file.main, file.rawLines.get(""), false)];
  if (file.pending.size > 0) {
    parts.push(`${kind === "qemu" ? "[PENDING]" : "[pve:pending]"}\n${renderSection(kind, file.pending, undefined, true)}`);
  }
  for (const name of [...file.special.keys()].sort(compareText)) {
    const section = file.special.get(name) ?? new Map();
    if (name !== "cloudinit" || hasCloudinitDrive(file.main)) parts.push(`[special:${name}]\n${renderSection(kind, section, undefined, false)}`);
  }
  for (const name of [...file.snapshots.keys()].sort(compareText)) {
    parts.push(`[${name}]\n${renderSection(kind, file.snapshots.get(name) ?? new Map(), file.rawLines.get(name), false)}`);
  }
  return parts.join("\n");
}

function renderSection(kind: GuestKind, section: Section, raw: readonly (readonly [string, string])[] | undefined, isPending: boolean): string {
  const description = section.get("description");
  let text = "";
  if (isTrue(description)) text += splitLines(description ?? "").map((line) => `#${encodeText(line)}\n`).join("");
  else if (kind === "qemu" && isPending && description !== undefined && description !== null) text += "#\n";
  for (const key of [...section.keys()].sort(compareText)) {
    if (key === "description") continue;
    const value = section.get(key) ?? "";
    if (value.includes("\n")) throw Died.because(`detected invalid newline inside property '${key}'`);
    text += `${key}: ${value}\n`;
  }
  return text + (raw ?? []).map(([key, value]) => `${key}: ${value}\n`).join("");
}

function tidyQemu(file: GuestConfigFile): void {
  const smp = file.main.get("smp");
  if (isTrue(file.main.get("sockets"))) file.main.delete("smp");
  else if (smp !== undefined && isTrue(smp)) {
    file.main.set("sockets", smp);
    file.main.delete("cores");
    file.main.delete("smp");
  }
  for (const section of [file.main, file.pending, ...file.snapshots.values()]) {
    for (const [key, value] of section) {
      if (key === "description" || key === "delete") continue;
      const checked = checkStoredValue("qemu", key, value);
      if (!checked.ok) throw Died.because(`unable to parse value of '${key}' - ${checked.problem.replace(/\n$/, "")}`);
      section.set(key, checked.value);
    }
  }
}

/** A volume that is attached again is no longer listed as unused (docs/proxmox.md row 43). */
function dropUsedUnused(kind: GuestKind, main: Section): void {
  const used = new Set([...main].filter(([key]) => (kind === "qemu" ? isQemuDrive(key) : isLxcVolume(key))).map(([key, value]) => volumeOf(kind, key, value ?? "")));
  for (const [key, value] of main) if (key.startsWith("unused") && value !== null && used.has(value)) main.delete(key);
}

/** The volume (or path) of a drive or mount point value, undefined when it cannot be parsed. */
function volumeOf(kind: GuestKind, key: string, value: string): string | undefined {
  const format = configOption(kind, key)?.format;
  if (typeof format !== "object") return undefined;
  const parsed = parsePropertyString(format, value);
  return parsed.ok ? parsed.values.get(kind === "qemu" ? "file" : "volume") : undefined;
}

/** Whether one of the drives is a cloud-init drive. */
export function hasCloudinitDrive(section: Section): boolean {
  return [...section].some(([key, value]) => isQemuDrive(key) && /(?:^|[:/])(?:vm-\d+-)?cloudinit(?:\.\w+)?(?:,|$)/.test(value ?? ""));
}

/** A value as the API gives it: integers and booleans as numbers, the rest as text (docs/proxmox.md row 4). */
export function jsonValue(kind: GuestKind, key: string, value: string | null): string | number | null {
  if (value === null) return null;
  const type = configOption(kind, key)?.type;
  return (type === "integer" || type === "boolean") && /^\d+$/.test(value) ? Number(value) : value;
}

/** A copy that can be changed without changing `file`. */
export function copyConfig(file: GuestConfigFile): GuestConfigFile {
  const sections = (map: Map<string, Section>): Map<string, Section> => new Map([...map].map(([name, section]) => [name, new Map(section)]));
  return {
    digest: file.digest,
    main: new Map(file.main),
    pending: new Map(file.pending),
    special: sections(file.special),
    snapshots: sections(file.snapshots),
    rawLines: new Map([...file.rawLines].map(([name, lines]) => [name, [...lines]])),
  };
}
