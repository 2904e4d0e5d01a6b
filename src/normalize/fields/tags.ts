import { splitList, uniqueSorted } from "../lists.ts";
import { scalarField } from "../scalar-field.ts";
import type { NormalizeContext } from "../types.ts";
import type { ValueRule } from "../value-rule.ts";

const TAG = /^[a-z0-9_][a-z0-9_.+-]*$/i;

/**
 * Tags are a set; order and case mean something only when datacenter.cfg says so (docs/proxmox.md
 * rows 19, 20). Proxmox splits at ";", "," and white space and joins with ";".
 */
const TAGS_RULE: ValueRule = {
  expected: 'tags of letters, digits and "_", inside also "-", "+", "."',
  joiner: ";",
  canonical: (text, context) => {
    const tags = splitList(text);
    return tags.every((tag) => TAG.test(tag)) ? styled(tags, context).join(";") : undefined;
  },
};

function styled(tags: readonly string[], { tagStyle }: NormalizeContext): string[] {
  const cased = tagStyle.isCaseSensitive ? tags : tags.map((tag) => tag.toLowerCase());
  return tagStyle.isOrdered ? [...new Set(cased)] : uniqueSorted(cased);
}

export const TAGS = scalarField(TAGS_RULE, { isBlankAbsent: true });
