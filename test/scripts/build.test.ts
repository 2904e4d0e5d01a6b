import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { checksumLines, commitOf, compileArguments, hostTarget, planBuild } from "../../scripts/build.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const HOST = "linux-x64";

describe("what is built", () => {
  const plans = [
    { args: [], plan: { target: "linux-x64", name: "agent", executable: undefined } },
    { args: ["--target", "linux-x64"], plan: { target: "linux-x64", name: "agent", executable: undefined } },
    { args: ["--target", "linux-arm64"], plan: { target: "linux-arm64", name: "agent-linux-arm64", executable: undefined } },
    { args: ["--target", "linux-arm64", "--executable", "/x/bun"], plan: { target: "linux-arm64", name: "agent-linux-arm64", executable: "/x/bun" } },
  ] as const;
  for (const { args, plan } of plans) {
    test(`"${args.join(" ")}" builds ${plan.name} for ${plan.target}`, () => {
      expect(planBuild(args, HOST)).toEqual(plan);
    });
  }

  for (const args of [["--target"], ["--target", "mars"], ["linux-x64"], ["--tarqet", "linux-x64"], ["--target", "linux-x64", "more"]]) {
    test(`"${args.join(" ")}" is refused with what is possible`, () => {
      expect(planBuild(args, HOST)).toContain("linux-arm64");
    });
  }

  test("on a machine that is no target one must be named", () => {
    expect(planBuild([], "darwin-arm64")).toContain("name one with --target");
    expect(hostTarget("darwin", "arm64")).toBe("darwin-arm64");
  });

  test("the version and the commit are baked in, and the binary reads no files from its working directory", () => {
    const plan = { target: "linux-arm64", name: "agent-linux-arm64", executable: undefined } as const;
    const args = compileArguments(plan, HOST, { version: `1.0.0"; evil`, commit: "abc" });
    expect(args).toContain(`STEWARD_VERSION="1.0.0\\"; evil"`);
    expect(args).toContain(`STEWARD_COMMIT="abc"`);
    for (const flag of ["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig", "--reject-unresolved", "--format=esm", "--target=bun-linux-arm64"]) expect(args).toContain(flag);
    expect(args).not.toContain("--minify");
    expect(compileArguments({ ...plan, target: "linux-x64" }, HOST, { version: "1", commit: "a" }).some((flag) => flag.startsWith("--target"))).toBe(false);
  });
});

describe("what goes with it", () => {
  test("checksums are what sha256sum reads, in the order of the names", () => {
    expect(checksumLines(new Map([["b", Buffer.from("abc")], ["a", new Uint8Array()]]))).toBe(
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\nba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b\n",
    );
  });

  test("outside git the commit is unknown; a tree with other changes is dirty", () => {
    const root = temporaryDirectory();
    const git = (...args: string[]) => Bun.spawnSync(["git", "-C", root, "-c", "user.name=t", "-c", "user.email=t@example.org", ...args]).success;
    expect(commitOf(root)).toBe("unknown");
    expect(git("init", "-q") && git("commit", "-q", "--allow-empty", "-m", "x")).toBe(true);
    const clean = commitOf(root);
    expect(clean).toMatch(/^[0-9a-f]{12}$/);
    writeFileSync(join(root, "new"), "");
    expect(commitOf(root)).toBe(`${clean}-dirty`);
  });
});
