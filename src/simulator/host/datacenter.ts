import { DEFAULT_TAG_STYLE, type TagStyle } from "../../guest/host-facts.ts";
import { compareText, splitList } from "./perl.ts";

/** datacenter.cfg: `key: value` lines, some of them property strings. */
export class DatacenterConfig {
  text: string;

  constructor(text: string) {
    this.text = text;
  }

  settings(): ReadonlyMap<string, string> {
    const pairs = this.text.split("\n").flatMap((line) => {
      const match = /^([a-z_][a-z0-9_-]*):\s*(\S.*?)\s*$/i.exec(line);
      return match === null ? [] : [[match[1] ?? "", match[2] ?? ""] as const];
    });
    return new Map(pairs);
  }

  setting(name: string): string | undefined {
    return this.settings().get(name);
  }

  tagStyle(): TagStyle {
    const parts = new Map((this.setting("tag-style") ?? "").split(",").map((part) => [part.split("=")[0] ?? "", part.split("=")[1] ?? ""]));
    if (parts.size === 0) return DEFAULT_TAG_STYLE;
    return { isOrdered: parts.get("ordering") === "config", isCaseSensitive: parts.get("case-sensitive") === "1" };
  }

  /** Tags that only a Sys.Modify on / may set. */
  registeredTags(): ReadonlySet<string> {
    return new Set(splitList(this.setting("registered-tags")));
  }

  /** The text with these settings changed; null removes one. */
  withSettings(changes: ReadonlyMap<string, string | null>): string {
    const settings = new Map(this.settings());
    for (const [name, value] of changes) {
      if (value === null) settings.delete(name);
      else settings.set(name, value);
    }
    return [...settings].sort(([left], [right]) => compareText(left, right)).map(([name, value]) => `${name}: ${value}\n`).join("");
  }
}

/** Tags as Proxmox stores them: split, lower-cased, unique, sorted, joined by `;` (docs/proxmox.md row 19). */
export function uniqueTags(text: string, style: TagStyle): string {
  const tags = splitList(text);
  const sorted = style.isOrdered ? tags : [...tags].sort((left, right) => (style.isCaseSensitive ? compareText(left, right) : compareText(left.toLowerCase(), right.toLowerCase())));
  return [...new Set(sorted.map((tag) => (style.isCaseSensitive ? tag : tag.toLowerCase())))].join(";");
}
