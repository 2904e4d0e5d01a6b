import type { GuestKind } from "../../guest/key.ts";
import { ok, type Result } from "../../ports/errors.ts";
import { invalid } from "../invalid.ts";
import type { FieldNormalizer } from "../types.ts";

/** Longest description Proxmox takes, in characters. */
const DESCRIPTION_LENGTH_MAX = 8192;

const QEMU_TRAILING = /[\s\u0085]+$/;
const LINE_END = /\r+\n/g;
const LXC_TRAILING = /[\r\n]+$/;

/**
 * Free text in the head of a config file. QEMU loses trailing white space, LXC keeps blanks and always
 * gives back one newline at the end, CRLF survives on both; blank text is the same as none
 * (docs/proxmox.md rows 14, 15, 16).
 */
export const DESCRIPTION: FieldNormalizer = {
  normalize: (raw, context) => {
    const text = String(raw).replace(LINE_END, "\n").replace(context.kind === "qemu" ? QEMU_TRAILING : LXC_TRAILING, "");
    return text.trim() === "" ? null : text;
  },
  merge: (declared, context) => {
    if (declared === null) return ok(null);
    if (typeof declared === "object") return invalid("", "text", declared);
    const text = String(declared);
    if (lengthOf(text) > DESCRIPTION_LENGTH_MAX) return invalid("", `at most ${DESCRIPTION_LENGTH_MAX} characters`, `${lengthOf(text)} characters`, "shorten it");
    const form = DESCRIPTION.normalize(text, context);
    if (form === null) return ok(null);
    const there = context.observed;
    if (there !== undefined && form === DESCRIPTION.normalize(there, context)) return ok(String(there));
    return form === "0" ? loneZero(text, context.kind) : ok(text);
  },
};

/**
 * Proxmox drops what Perl takes for false. A container keeps a lone "0" that has a line end behind it; a VM's
 * description is trimmed first, so that no spelling of it stays (docs/proxmox.md row 15).
 */
function loneZero(text: string, kind: GuestKind): Result<string> {
  if (kind === "lxc") return ok(text === "0" ? "0\n" : text);
  return invalid("", "text other than a lone 0 (Proxmox drops it)", text, "add a word to it, or write null to have no description");
}

/** Characters as Proxmox counts them: code points, not UTF-16 units. */
function lengthOf(text: string): number {
  if (text.length <= DESCRIPTION_LENGTH_MAX) return text.length;
  return Array.from(text).length;
}
