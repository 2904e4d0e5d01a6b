import type { DeclaredScalar } from "../../guest/declared.ts";
import { ok } from "../../ports/errors.ts";
import { invalid } from "../invalid.ts";
import { propertyField } from "../property-field.ts";
import { subKeys } from "../property-format.ts";
import { IPV4_ADDRESS, IPV6_ADDRESS, TEXT, ipv4Config, ipv6Config } from "../text-rules.ts";
import type { FieldNormalizer, NormalForm } from "../types.ts";
import { textOf } from "../value-rule.ts";

/** ipconfigN: there is no bare form, `dhcp` alone is refused, and a gateway without its address (docs/proxmox.md row 71). */
export const IP_CONFIG = propertyField({
  requires: new Map([["gw", "ip"], ["gw6", "ip6"]]),
  subKeys: subKeys({ ip: ipv4Config("dhcp"), gw: IPV4_ADDRESS, ip6: ipv6Config("auto", "dhcp"), gw6: IPV6_ADDRESS }),
});

/** cicustom: which snippets replace generated files, in any order (docs/proxmox.md row 70). */
export const CUSTOM_FILES = propertyField({ subKeys: subKeys({ meta: TEXT, network: TEXT, user: TEXT, vendor: TEXT }) });

const ENCODED = /^[-%a-zA-Z0-9_.!~*'()]*$/;

/**
 * SSH public keys: a set of lines, held percent-encoded (docs/proxmox.md row 68). Declared plain, as a
 * list, or encoded; sent encoded with %20 for blanks, which the form body then encodes once more.
 */
export const SSH_KEYS: FieldNormalizer = {
  normalize: (raw) => keyLines(textOf(raw)),
  merge: (declared, context) => {
    if (declared === null) return ok(null);
    const text = plainKeys(declared);
    if (text === undefined) return invalid("", "SSH public keys, one a line or one a list item", declared);
    const lines = keyLines(text);
    if (lines === null) return ok(null);
    const there = context.observed;
    return ok(there !== undefined && keyLines(textOf(there)) === lines ? String(there) : encodeURIComponent(`${lines}\n`));
  },
};

function plainKeys(declared: object | DeclaredScalar): string | undefined {
  if (typeof declared === "string") return declared.isWellFormed() ? declared : undefined;
  if (!Array.isArray(declared)) return undefined;
  return declared.every((item) => typeof item === "string" && item.trim() !== "" && item.isWellFormed()) ? declared.join("\n") : undefined;
}

function keyLines(text: string): NormalForm {
  const lines = decoded(text.trim()).split(/[\r\n]+/).map((line) => line.trim()).filter((line) => line !== "");
  if (lines.length === 0) return null;
  const form = [...new Set(lines)].sort().join("\n");
  return form === text ? form : keyLines(form); // one line left of several may turn out to be encoded
}

// Keys hold blanks, so text that could still be decoded has been encoded once more on its way.
function decoded(text: string): string {
  let plain = text;
  try {
    while (plain.includes("%") && ENCODED.test(plain)) plain = decodeURIComponent(plain);
  } catch {
    // A lone "%": not encoded text after all, so it stands for itself.
  }
  return plain;
}

/** What Proxmox shows instead of a password, and all that is ever shown of one here. */
const MASKED = "**********";

/**
 * cipassword can be written but never read back, so it cannot be compared (docs/proxmox.md row 69);
 * taking it would mean writing it in every pass, or never.
 */
export const PASSWORD: FieldNormalizer = {
  normalize: (raw) => (textOf(raw) === "" ? null : MASKED),
  merge: (declared) => {
    if (declared === null) return ok(null);
    return invalid("", "nothing: Proxmox never tells what a password is, so it cannot be kept as declared", MASKED, "set it by hand and leave the key out");
  },
};
