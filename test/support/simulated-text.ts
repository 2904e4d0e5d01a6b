import type { TransitionEvent } from "../../src/conditions/condition.ts";
import type { Sent } from "./simulated-network.ts";

/** What happens on a simulated site, in words that are the same for the same event. */

/** A guest's config file. */
export function configText(config: Readonly<Record<string, string>>): string {
  return Object.entries(config).map(([key, value]) => `${key}: ${value}\n`).join("");
}

/** "PUT 101 config memory=2048 delete=tags", without the digest. */
export function requestText({ method, path, parameters, vmid }: Sent): string {
  const what = path.split("/").slice(5).join("/");
  const given = Object.entries(parameters).filter(([name]) => name !== "digest").map(([name, value]) => ` ${name}=${value}`);
  return `${method} ${vmid ?? ""} ${what}${given.join("")}`;
}

/** "101 Synced True InSync", without the message. */
export function transitionText({ guest, type, to, reason }: TransitionEvent): string {
  return `${guest === undefined ? "host" : guest.vmid} ${type} ${to} ${reason}`;
}

/** What was asked of the journal, without ids. */
export function journalText(name: string, [first, second]: readonly unknown[]): string {
  const operation = first as { readonly action?: string; readonly guest?: { readonly vmid?: number } };
  if (name === "begin" || name === "plan") return `${operation.action} ${operation.guest?.vmid}`;
  return name === "apply" ? String((second as { readonly type: string }).type) : `${String(first)} ${String(second)}`;
}
