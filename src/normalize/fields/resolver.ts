import { listOf } from "../lists.ts";
import { scalarField } from "../scalar-field.ts";
import { DNS_NAME_RULE, IP_ADDRESS, IP_ADDRESS_OR_NAME } from "../text-rules.ts";
import type { FieldNormalizer } from "../types.ts";
import type { ValueRule } from "../value-rule.ts";

// A resolver asks in order. VMs keep the text that was sent, containers join it with single blanks:
// it is split either way (docs/proxmox.md rows 72, 73).
function sequence(noun: string, item: ValueRule): FieldNormalizer {
  return scalarField(listOf({ noun, item, joiner: " ", order: "sequence" }), { isBlankAbsent: true });
}

export const QEMU_NAME_SERVERS = sequence("name servers", IP_ADDRESS_OR_NAME);
export const LXC_NAME_SERVERS = sequence("name servers", IP_ADDRESS);
export const SEARCH_DOMAINS = sequence("domains", DNS_NAME_RULE);
