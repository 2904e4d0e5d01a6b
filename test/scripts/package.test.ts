import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { arArchive, gzippedTar } from "../../scripts/deb/archive.ts";
import { POSTINST, POSTRM, PRERM } from "../../scripts/deb/scripts.ts";
import { debPackage, planPackage, type DebRequest } from "../../scripts/package.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const isRoot = process.getuid?.() === 0;
const hasDpkg = Bun.which("dpkg") !== null && Bun.which("dpkg-deb") !== null;

const REQUEST: DebRequest = {
  version: "1.2.3", architecture: "amd64", modifiedAt: 1_700_000_000,
  // What strip would cut off is the end.
  binary: Buffer.from("#!/bin/sh\necho steward 1.2.3\n# the program, appended to its runtime\n"),
  texts: { completions: { bash: "# bash\n", zsh: "# zsh\n", fish: "# fish\n" }, config: "dryRun: true\n", desired: "version: 1\nguests: []\n", schema: "{}\n" },
  documents: { "operating.md": "# Operating\n" },
};

function run(words: readonly string[], environment: Readonly<Record<string, string>> = {}): { readonly code: number; readonly out: string } {
  const child = Bun.spawnSync([...words], { stdout: "pipe", stderr: "pipe", env: { ...process.env, LC_ALL: "C.UTF-8", ...environment } });
  return { code: child.exitCode, out: child.stdout.toString() + child.stderr.toString() };
}

function written(request: DebRequest = REQUEST): string {
  const path = join(temporaryDirectory(), "steward.deb");
  writeFileSync(path, debPackage(request));
  return path;
}

describe("the package", () => {
  test("is the same bytes for the same tree, and others for another version", () => {
    const digest = (request: DebRequest): string => new Bun.CryptoHasher("sha256").update(debPackage(request)).digest("hex");
    expect(digest(REQUEST)).toBe(digest({ ...REQUEST }));
    expect(digest(REQUEST)).not.toBe(digest({ ...REQUEST, version: "1.2.4" }));
  });

  test.skipIf(!hasDpkg)("says what it is (needs dpkg-deb)", () => {
    const { code, out } = run(["dpkg-deb", "--field", written()]);
    expect(code).toBe(0);
    for (const line of ["Package: steward", "Version: 1.2.3", "Architecture: amd64", "Depends: adduser, libc6 (>= 2.17), procps"]) expect(out).toContain(`${line}\n`);
  });

  test.skipIf(!hasDpkg)("holds everything for root, with its modes and the time it was given (needs dpkg-deb)", () => {
    const { out } = run(["dpkg-deb", "--contents", written()], { TZ: "UTC" });
    const lines = out.trim().split("\n").map((line) => line.split(/\s+/));
    for (const [, owner, , date, time] of lines) expect([owner, date, time]).toEqual(["root/root", "2023-11-14", "22:13"]);
    const modes = new Map(lines.map(([mode = "", , , , , path = ""]) => [path, mode]));
    const expected: Readonly<Record<string, string>> = {
      "./usr/bin/agent": "-rwxr-xr-x", "./etc/steward/": "drwxr-x---", "./etc/steward/desired/": "drwxr-s---", "./etc/steward/agent.yaml": "-rw-r-----",
      "./usr/lib/systemd/system/steward.service": "-rw-r--r--", "./usr/share/bash-completion/completions/agent": "-rw-r--r--",
    };
    expect(Object.fromEntries(Object.keys(expected).map((path) => [path, modes.get(path) ?? ""]))).toEqual(expected);
    expect(lines.map((line) => line[5] ?? "")).toEqual(lines.map((line) => line[5] ?? "").sort());
  });

  test.skipIf(!hasDpkg)("has the binary byte for byte, and sums that are right (needs dpkg-deb)", () => {
    const directory = temporaryDirectory();
    const deb = written();
    expect(run(["dpkg-deb", "--raw-extract", deb, join(directory, "x")]).code).toBe(0);
    expect(readFileSync(join(directory, "x/usr/bin/agent"))).toEqual(Buffer.from(REQUEST.binary));
    expect(run(["sh", "-c", `cd ${directory}/x && md5sum --quiet -c DEBIAN/md5sums`])).toEqual({ code: 0, out: "" });
    expect(readFileSync(join(directory, "x/DEBIAN/conffiles"), "utf8")).toBe("/etc/steward/agent.yaml\n/etc/steward/desired/guests.yaml\n");
  });

  for (const [name, script] of Object.entries({ postinst: POSTINST, prerm: PRERM, postrm: POSTRM })) {
    test(`${name} is a shell script that any sh reads`, () => {
      const path = join(temporaryDirectory(), name);
      writeFileSync(path, script);
      expect(run(["sh", "-n", path])).toEqual({ code: 0, out: "" });
    });
  }
});

/** A tree that dpkg installs into, with stand-ins for the programs that make and remove users. */
class Target {
  readonly root = temporaryDirectory();
  readonly #bin = temporaryDirectory();

  constructor(groups = "root:x:0:\nwww-data:x:33:\n") {
    for (const path of ["etc", "var/lib/dpkg/updates", "var/lib/dpkg/info"]) mkdirSync(join(this.root, path), { recursive: true });
    for (const [path, text] of [["etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"], ["etc/group", groups], ["var/lib/dpkg/status", ""], ["var/lib/dpkg/available", ""]] as const) writeFileSync(join(this.root, path), text);
    this.#program("adduser", `case "$*" in
  *--system*) echo "steward:x:990:990:::" >> "$DPKG_ROOT/etc/passwd"; echo "steward:x:990:" >> "$DPKG_ROOT/etc/group" ;;
  *) sed -i 's/^www-data:.*/www-data:x:33:steward/' "$DPKG_ROOT/etc/group" ;;
esac`);
    this.#program("userdel", `sed -i '/^steward:/d; s/steward$//' "$DPKG_ROOT/etc/passwd" "$DPKG_ROOT/etc/group"`);
  }

  #program(name: string, body: string): void {
    writeFileSync(join(this.#bin, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(this.#bin, name), 0o755);
  }

  dpkg(...args: readonly string[]): string {
    const { code, out } = run(["dpkg", `--root=${this.root}`, "--force-script-chrootless,depends,confold", "--no-triggers", ...args], { PATH: `${this.#bin}:${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` });
    if (code !== 0) throw new Error(out);
    return out;
  }

  read(path: string): string | undefined {
    return existsSync(join(this.root, path)) ? readFileSync(join(this.root, path), "utf8") : undefined;
  }

  rights(path: string): string {
    const { mode, uid, gid } = lstatSync(join(this.root, path));
    return `${(mode & 0o7777).toString(8)} ${uid}:${gid}`;
  }

  /** Every path with its rights and content, without dpkg's own books. */
  snapshot(): readonly string[] {
    const names = readdirSync(this.root, { recursive: true }).map(String).filter((name) => !name.startsWith("var/lib/dpkg")).sort();
    return names.map((name) => `${name} ${this.rights(name)} ${lstatSync(join(this.root, name)).isFile() ? (this.read(name) ?? "") : ""}`);
  }
}

describe.skipIf(!isRoot || !hasDpkg)("dpkg (needs root and dpkg)", () => {
  test("installs it with the rights it must have, starts nothing, and says what is missing", () => {
    const target = new Target();
    expect(target.dpkg("--install", written())).toContain("not started, it has no token yet");
    const expected: Readonly<Record<string, string>> = {
      "etc/steward": "750 0:990", "etc/steward/desired": "2750 0:990", "etc/steward/agent.yaml": "640 0:990", "var/lib/steward": "700 990:990", "usr/bin/agent": "755 0:0",
    };
    expect(Object.fromEntries(Object.keys(expected).map((path) => [path, target.rights(path)]))).toEqual(expected);
    expect(target.read("etc/group")).toContain("www-data:x:33:steward");
    expect(run([join(target.root, "usr/bin/agent"), "version"]).out).toBe("steward 1.2.3\n");
  });

  test("purges everything it made and everything the agent made", () => {
    const target = new Target();
    // The directories every machine has, in use by others.
    for (const path of ["usr/bin", "usr/lib", "usr/share"]) {
      mkdirSync(join(target.root, path), { recursive: true });
      writeFileSync(join(target.root, path, "another"), "");
    }
    const before = target.snapshot();
    target.dpkg("--install", written());
    mkdirSync(join(target.root, "var/lib/steward/journal"));
    for (const path of ["var/lib/steward/journal/1", "etc/steward/token", "etc/steward/agent.yaml.new"]) writeFileSync(join(target.root, path), "x");
    target.dpkg("--purge", "steward");
    expect(target.snapshot()).toEqual(before);
  });

  test("removing leaves settings, token and state; a purge leaves declarations people wrote, and says so", () => {
    const target = new Target();
    target.dpkg("--install", written());
    writeFileSync(join(target.root, "etc/steward/token"), "x");
    writeFileSync(join(target.root, "etc/steward/desired/web.yaml"), "mine");
    target.dpkg("--remove", "steward");
    expect([existsSync(join(target.root, "usr/bin/agent")), target.read("etc/steward/token"), target.read("etc/steward/agent.yaml"), existsSync(join(target.root, "var/lib/steward"))]).toEqual([false, "x", "dryRun: true\n", true]);
    expect(target.dpkg("--purge", "steward")).toContain("/etc/steward/desired stays");
    expect([target.read("etc/steward/desired/web.yaml"), target.read("etc/steward/token"), target.read("etc/passwd")?.includes("steward")]).toEqual(["mine", undefined, false]);
  });

  test("an upgrade keeps edited settings and brings the new default of untouched ones", () => {
    const target = new Target();
    target.dpkg("--install", written());
    writeFileSync(join(target.root, "etc/steward/agent.yaml"), "mine: true\n");
    target.dpkg("--install", written({ ...REQUEST, version: "1.3.0", texts: { ...REQUEST.texts, config: "new: true\n", desired: "version: 1\nguests: [] # new\n" } }));
    expect([target.read("etc/steward/agent.yaml"), target.read("etc/steward/agent.yaml.dpkg-dist"), target.read("etc/steward/desired/guests.yaml")]).toEqual(["mine: true\n", "new: true\n", "# yaml-language-server: $schema=/usr/share/steward/desired.schema.json\nversion: 1\nguests: [] # new\n"]);
    expect([target.rights("etc/steward/agent.yaml"), target.rights("etc/steward/desired/guests.yaml")]).toEqual(["640 0:990", "640 0:990"]);
  });

  test("where there is no www-data the user is made all the same; installing twice is harmless", () => {
    const target = new Target("root:x:0:\n");
    target.dpkg("--install", written());
    target.dpkg("--install", written());
    expect(target.read("etc/passwd")?.match(/^steward:/gm)?.length).toBe(1);
  });
});

describe("the formats", () => {
  test.skipIf(Bun.which("tar") === null)("tar reads back what was packed (needs tar)", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9._-]{0,20}$/);
    const file = fc.record({ path: fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => `/f${parts.length}/${parts.join("/")}`), mode: fc.constantFrom(0o600, 0o644, 0o755), content: fc.uint8Array({ maxLength: 1500 }) });
    fc.assert(fc.property(fc.uniqueArray(file, { maxLength: 5, selector: ({ path }) => path }), (files) => {
      // One path inside of another would make a file a directory.
      fc.pre(!files.some(({ path }) => files.some((other) => other.path.startsWith(`${path}/`))));
      const directory = join(temporaryDirectory(), "out");
      mkdirSync(directory);
      writeFileSync(`${directory}.tgz`, gzippedTar(files, new Map(), 0));
      const { code } = run(["tar", "-xzf", `${directory}.tgz`, "-C", directory]);
      const isSame = files.every(({ path, mode, content }) => readFileSync(directory + path).equals(content) && (lstatSync(directory + path).mode & 0o777) === mode);
      rmSync(directory, { recursive: true });
      return code === 0 && isSame;
    }), { numRuns: 30 });
  });

  test("a path that does not fit into a header is refused", () => {
    expect(() => gzippedTar([{ path: `/${"x".repeat(120)}`, mode: 0o644, content: new Uint8Array() }], new Map(), 0)).toThrow("at most 100 bytes");
  });

  test("ar pads members of odd length", () => {
    const bytes = Buffer.from(arArchive([["a", Buffer.from("odd")], ["b", Buffer.from("even")]], 0));
    expect([bytes.length, bytes.indexOf("b               ") % 2]).toEqual([8 + 60 + 4 + 60 + 4, 0]);
  });
});

describe("the command line of the script", () => {
  test("packages for this machine unless told otherwise", () => {
    expect(planPackage([], "linux-x64")).toEqual({ target: "linux-x64", binary: "agent" });
    expect(planPackage(["--target", "linux-arm64"], "linux-x64")).toEqual({ target: "linux-arm64", binary: "agent-linux-arm64" });
  });

  for (const args of [["--target"], ["--target", "mars"], ["linux-x64"], ["--target", "linux-x64", "more"]]) {
    test(`"${args.join(" ")}" is refused with what is possible`, () => {
      expect(planPackage(args, "linux-x64")).toContain("linux-arm64");
    });
  }
});
