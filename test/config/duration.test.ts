import { describe, expect, test } from "bun:test";
import { parseDuration } from "../../src/config/duration.ts";

describe("a duration", () => {
  test.each([
    ["0s", 0], ["250ms", 250], ["1.5s", 1_500], ["90s", 90_000], ["10m", 600_000], ["1.5h", 5_400_000], ["2h", 7_200_000], ["3d", 259_200_000], ["0.001ms", 0],
  ])("%p is %p ms", (text, durationMs) => {
    expect(parseDuration(text)).toBe(durationMs);
  });

  test.each(["", "s", "10", "-1s", "+1s", "1 s", " 1s", "1s ", "1S", "1w", "1e3s", "1.s", ".5s", "1.2345s", "1,5s", "1h30m", "999999999999d", "9".repeat(400) + "s", "toString", "1constructor"])(
    "is not %p",
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
});
