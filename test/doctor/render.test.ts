import { expect, test } from "bun:test";
import { judgeAll } from "../../src/doctor/doctor.ts";
import type { Check } from "../../src/doctor/check.ts";
import { broken, fine, skip, warn, worst } from "../../src/doctor/finding.ts";
import { renderReport } from "../../src/doctor/render.ts";
import { COLOUR_STYLE, PLAIN_STYLE } from "../../src/plan/render-style.ts";
import { factsWith } from "./facts.ts";

const check = (name: string, judge: Check["judge"]): Check => ({ name, expected: `all of ${name}`, judge });
const many = Array.from({ length: 23 }, (_, index) => `place ${index + 1}`);
const REPORT = judgeAll(factsWith(), [
  check("broken", () => broken("a \u001b[2Jb", "do this", many)),
  check("good", () => fine("well", ["a detail"])),
  check("odd", () => warn("hm", "do that")),
  check("left-out", () => skip("not here")),
  check("good-too", () => fine("well")),
]);

test("what is well comes first, what fails last, aligned, with what to do below", () => {
  const lines = renderReport(REPORT, PLAIN_STYLE, false).split("\n");
  expect(lines.slice(0, 6)).toEqual([
    "ok       good      well",
    "ok       good-too  well",
    "skipped  left-out  not here",
    "warning  odd       hm",
    "                   expected  all of odd",
    "                   mend      do that",
  ]);
  expect(lines[6]).toBe("FAIL     broken    a \\u{1b}[2Jb");
  expect(lines.slice(-6)).toEqual([
    "                   - … and 3 more (-o json lists all)",
    "                   expected  all of broken",
    "                   mend      do this",
    "",
    "2 ok, 1 skipped, 1 warning, 1 failure",
    "",
  ]);
});

test("details of what is well are for those who ask", () => {
  expect(renderReport(REPORT, PLAIN_STYLE, false)).not.toContain("a detail");
  const verbose = renderReport(REPORT, PLAIN_STYLE, true);
  expect(verbose).toContain("- a detail");
  expect(verbose).toContain("place 23");
});

test("colours change nothing but colours", () => {
  const coloured = renderReport(REPORT, COLOUR_STYLE, false);
  expect(coloured).toContain("\u001b[31mFAIL");
  expect(Bun.stripANSI(coloured)).toBe(renderReport(REPORT, PLAIN_STYLE, false));
});

test("the worst of several", () => {
  expect([worst([]), worst(["ok", "skipped"]), worst(["warn", "skipped"]), worst(["ok", "fail", "warn"])]).toEqual(["ok", "skipped", "warn", "fail"]);
});
