import { describe, expect, test } from "bun:test";
import { statusPage } from "../../src/server/status-page.ts";
import { condition, viewOf } from "./server-view.ts";

/** The page of a host with one guest whose name and message say `text`. */
function pageSaying(text: string): string {
  const guests = [{ guest: { kind: "qemu", vmid: 100 } as const, name: `name${text}`, conditions: [condition("Synced", "False", "Held", `message${text}`)] }];
  return statusPage(viewOf({ guests }).view, true);
}

describe("the status page", () => {
  test.each([
    ["an escape", "\u001b", "\\u{1b}"],
    ["a NUL", "\u0000", "\\u{0}"],
    ["a C1 control", "\u009b", "\\u{9b}"],
    ["DEL", "\u007f", "\\u{7f}"],
    ["a carriage return", "\r", "\\u{d}"],
    ["a direction override", "\u202e", "\\u{202e}"],
    ["a direction isolate", "\u2066", "\\u{2066}"],
    ["an Arabic letter mark", "\u061c", "\\u{61c}"],
    ["a zero-width space", "\u200b", "\\u{200b}"],
    ["a byte order mark", "\ufeff", "\\u{feff}"],
    ["a lone surrogate", "\ud800", "\\u{d800}"],
  ])("shows %s of a name or message as its number", (_, character, shown) => {
    const page = pageSaying(character);
    expect(page).not.toContain(character);
    expect(page).toContain(`<td>name${shown}</td>`);
    expect(page).toContain(`<td>message${shown}</td>`);
  });

  test("shows the newest events to peers on this host, newest first and escaped, and nothing of them to others", () => {
    const events = Array.from({ length: 60 }, (_, count) => ({ at: `T${count}`, guest: { kind: "qemu", vmid: 100 } as const, type: "Synced" as const, from: "True" as const, to: "False" as const, reason: "Drifted", message: `<b>${count}` }));
    const { view } = viewOf({ events });
    const shown = [...statusPage(view, true).matchAll(/<td>(T\d+)<\/td><td>qemu\/100 Synced False Drifted: &lt;b&gt;\d+<\/td>/g)].map(([, at]) => at);
    expect([shown.length, shown[0], shown.at(-1)]).toEqual([50, "T59", "T10"]);
    expect(statusPage(view, false)).not.toContain("qemu/100");
    expect(statusPage(viewOf().view, true)).not.toContain("Newest events");
  });

  test("leaves other text as it is, and escapes what HTML reads", () => {
    expect(pageSaying(" Grüße 🙂 a\nb")).toContain("<td>name Grüße 🙂 a\nb</td>");
    expect(pageSaying("<b>&\"'")).toContain("<td>name&lt;b&gt;&amp;&quot;&#39;</td>");
  });
});
