import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { bannedFindings } from "./tidy/banned.ts";
import { importFindings, openingFindings } from "./tidy/rooms.ts";
import { fileSizes, functionSizes, sizeFindings, typeHoleFindings, type Size } from "./tidy/shapes.ts";
import { parseProject, type Finding, type Source } from "./tidy/source.ts";
import { textFiles, textFindings } from "./tidy/texts.ts";

/**
 * The house rules, as a test: which room may import which, who may touch time, chance, files and the
 * network, no holes in the types, nothing left lying about, nothing too long. Each failure says what
 * to use instead. The rules themselves are tested below with planted violations.
 */

const ROOT = join(import.meta.dir, "..");
const SHOWN_SIZES = 10;

const project = parseProject(ROOT);

function shown(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ at, message }) => `${at}: ${message}`);
}

describe("the tree", () => {
  test("is parsed whole: every room is there", async () => {
    const paths = (await project).map((source) => source.path);
    for (const path of ["src/main.ts", "src/lanes/lanes.ts", "src/ports/errors.ts", "test/tidy.test.ts", "scripts/build.ts", "bench/lanes.bench.ts"]) expect(paths).toContain(path);
  });

  test("imports only what the room table allows", async () => {
    expect(shown(importFindings(await project))).toEqual([]);
  });

  test("uses time, chance, files, network and process only where they belong", async () => {
    expect(shown(bannedFindings(await project))).toEqual([]);
  });

  test("has no holes in its types", async () => {
    expect(shown(typeHoleFindings(await project))).toEqual([]);
  });

  test("opens each room with what it is for", async () => {
    expect(shown(openingFindings(await project))).toEqual([]);
  });

  test("holds no leftovers and nothing of one machine", () => {
    expect(shown(textFindings(textFiles(ROOT)))).toEqual([]);
  });

  test("has no file and no function that is too long", async () => {
    const sources = await project;
    console.log(report("biggest files", fileSizes(sources)) + report("biggest functions", functionSizes(sources)));
    expect(shown(sizeFindings(sources))).toEqual([]);
  });
});

function report(title: string, sizes: readonly Size[]): string {
  return `${title}:\n${sizes.slice(0, SHOWN_SIZES).map(({ what, lines }) => `${String(lines).padStart(5)}  ${what}\n`).join("")}`;
}

/** A project with these files, parsed. */
async function planted(files: Readonly<Record<string, string>>): Promise<readonly Source[]> {
  const root = temporaryDirectory();
  const all = { "tsconfig.json": `{ "compilerOptions": { "noLib": true, "types": [], "module": "Preserve", "allowImportingTsExtensions": true, "noEmit": true }, "include": ["src", "test"] }`, ...files };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return parseProject(root);
}

describe("the rules catch what they are for", () => {
  const imports: readonly (readonly [string, string, string | undefined])[] = [
    ["src/plan/a.ts", `import { Clock } from "../ports/clock.ts";`, "plan may not import ports/clock.ts"],
    ["src/plan/b.ts", `import type { Clock } from "../ports/clock.ts";`, "plan may not import types of ports/clock.ts"],
    ["src/plan/c.ts", `import { ok } from "../ports/errors.ts";`, undefined],
    ["src/plan/d.ts", `export * from "../proxmox/client.ts";`, "plan may not import proxmox/client.ts"],
    ["src/plan/e.ts", `const x = await import("../proxmox/client.ts");`, "plan may not import proxmox/client.ts"],
    ["src/plan/f.ts", `import "../reconcile/engine.ts";`, "plan may not import reconcile/engine.ts"],
    ["src/plan/g.ts", `let x: import("../proxmox/client.ts").Client;`, "plan may not import types of proxmox/client.ts"],
    ["src/plan/h.ts", `// import { x } from "../proxmox/client.ts";\nconst text = 'import { x } from "../proxmox/client.ts"';`, undefined],
    ["src/plan/i.ts", `import {\n  x,\n} from "./input.ts";\nimport y from "valibot";`, undefined],
    ["src/plan/j.ts", `import { x } from "./input";`, "write the ending"],
    ["src/plan/k.ts", `import { x } from "../../test/support/guests.ts";`, "src may not import test/support/guests.ts"],
    ["src/ports/l.ts", `import { x } from "../guest/key.ts";`, "ports may not import guest/key.ts"],
    ["src/ports/m.ts", `import type { x } from "../guest/key.ts";`, undefined],
    ["src/lanes/n.ts", `import { x } from "../main.ts";`, "lanes may not import main.ts"],
    ["src/utils/o.ts", `export const x = 1;`, "src/utils is not in the room table"],
    ["src/commands/p.ts", `import { x } from "../proxmox/client.ts";`, undefined],
  ];

  test("imports: each planted one is found where it stands, and nothing else", async () => {
    const sources = await planted(Object.fromEntries(imports.map(([path, text]) => [path, text])));
    const found = importFindings(sources);
    for (const [path, , expected] of imports) {
      const here = found.filter(({ at }) => at.startsWith(path));
      expect([path, here.length]).toEqual([path, expected === undefined ? 0 : 1]);
      if (expected !== undefined) expect(here[0]?.message).toContain(expected);
    }
  });

  const bans: readonly (readonly [string, string, string | undefined])[] = [
    ["src/plan/a.ts", "const t = Date.now();", "Clock"],
    ["src/plan/b.ts", "const t = new Date();", "Clock"],
    ["src/plan/b2.ts", "const t = new Date;", "Clock"],
    ["src/plan/c.ts", "const t = new Date(1000);", undefined],
    ["src/plan/d.ts", "const now = Date\n  .now;\nnow();", "Clock"],
    ["src/lanes/e.ts", "setTimeout(() => {}, 1);", "Clock"],
    ["src/lanes/f.ts", "const later = setTimeout;", "Clock"],
    ["src/lanes/g.ts", "globalThis.setInterval(() => {}, 1);", "Clock"],
    ["src/lanes/h.ts", "clock.setTimeout(1); const o = { setTimeout: 1 }; interface I { setTimeout(): void }", undefined],
    ["src/lanes/i.ts", "// setTimeout(x)\nconst s = 'Date.now()'; const t = `Math.random() ${1}`;", undefined],
    ["src/schedule/j.ts", "const r = Math.random();", "Random"],
    ["src/schedule/k.ts", "const r = crypto.randomUUID();", "Random"],
    ["src/proxmox/l.ts", "await fetch('x');", "ProxmoxApi"],
    ["src/proxmox/m.ts", "api.fetch('x'); function f(o: { fetch: string }) { return o.fetch; }", undefined],
    ["src/reconcile/m2.ts", "await context.settle.api\n  .mutate(request);", "execute()"],
    ["src/reconcile/m3.ts", "const { mutate } = api;", "execute()"],
    ["src/commands/m4.ts", "interface A { mutate(): void } const fake = { mutate: () => {} };", undefined],
    ["src/reconcile/execute.ts", "api.mutate(request);", undefined],
    ["src/plan/n.ts", "console.log(1);", "Log"],
    ["src/plan/o.ts", "process.exit(1);", "only main.ts ends the process"],
    ["src/plan/p.ts", "const h = process.env['HOME'];", "environment"],
    ["src/plan/q.ts", `import fs from "node:fs";`, "FileSystem"],
    ["src/plan/r.ts", `import type { Stats } from "node:fs";`, undefined],
    ["src/plan/s.ts", `import { spawn } from "node:child_process";`, "starts no programs"],
    ["src/plan/t.ts", "Bun.spawn(['x']);", "starts no programs"],
    ["src/plan/u.ts", "const f = await import('node:fs/promises');", "FileSystem"],
    ["src/runtime/v.ts", "const t = Date.now(); setTimeout(() => {}, 1); const r = Math.random();", undefined],
    ["src/main.ts", "process.exit(process.env['X'] === '1' ? 1 : 0);", undefined],
    ["test/w.ts", "const t = Date.now(); console.log(1);", undefined],
  ];

  test("banned uses: each planted one is found, named with its replacement, and nothing else", async () => {
    const sources = await planted(Object.fromEntries(bans.map(([path, text]) => [path, text])));
    const found = bannedFindings(sources);
    for (const [path, text, expected] of bans) {
      const here = found.filter(({ at }) => at.startsWith(`${path}:`));
      expect([path, text, here.length]).toEqual([path, text, expected === undefined ? 0 : 1]);
      if (expected !== undefined) expect(here[0]?.message).toContain(expected);
    }
  });

  const holes: readonly (readonly [string, string, number])[] = [
    ["src/a.ts", "let x: any;", 1],
    ["src/b.ts", "const x = y as any;", 1],
    ["src/c.ts", "function f(list: Array<any>): any { return list; }", 2],
    ["src/d.ts", "const x = y as unknown as string;", 1],
    ["src/e.ts", "const x = (y as unknown) as string;", 1],
    ["src/f.ts", "const x = y as unknown; const z = y as string;", 0],
    ["src/g.ts", "const x = list[0]!; f(a!.b);", 2],
    ["src/h.ts", "class A { x!: string }", 1],
    ["src/i.ts", "const x = !y; const z = a !== b; const any = 1; void Promise.any([]);", 0],
    ["src/j.ts", "// @ts-ignore\nconst x: string = 1;", 1],
    ["src/k.ts", "// any text, as unknown as it may be!\nconst s = 'x as any';", 0],
    ["test/l.ts", "const x = y as any;", 0],
  ];

  test("holes in types: as many as were planted, where they were planted", async () => {
    const sources = await planted(Object.fromEntries(holes.map(([path, text]) => [path, text])));
    const found = typeHoleFindings(sources);
    for (const [path, text, count] of holes) expect([text, found.filter(({ at }) => at.startsWith(`${path}:`)).length]).toEqual([text, count]);
  });

  test("sizes: one line over the limit is found, the limit itself is not, generated files and tests' blocks are not", async () => {
    const lines = (count: number) => "\n".repeat(count - 1);
    const sources = await planted({
      "src/long.ts": `const x = 1;${lines(501)}\n`,
      "src/fits.ts": `const x = 1;${lines(500)}\n`,
      "src/made.gen.ts": `const x = 1;${lines(900)}\n`,
      "src/functions.ts": `function long() {${lines(71)}}\nconst fits = () => {${lines(70)}};\nclass A { method() {${lines(72)}} }\n`,
      "test/block.ts": `const block = () => {${lines(90)}};\n`,
    });
    expect(sizeFindings(sources).map(({ at, message }) => `${at.split(" ")[0]} ${message.split(" ")[0]}`).sort()).toEqual([
      "src/functions.ts:1 71", "src/functions.ts:142 72", "src/long.ts 501",
    ]);
  });

  test("openings: a main file without one, and one that is missing, are found", async () => {
    const sources = await planted({
      "src/lanes/lanes.ts": `import { x } from "./lane.ts";\n/** one line */\nexport const y = x;`,
      "src/guest/key.ts": `/**\n * Guests: what they are.\n * Nothing more.\n */\nexport const x = 1;`,
      "src/ports/errors.ts": `export const x = 1;\n/**\n * Too late: it stands\n * below code.\n */\nexport const y = 1;`,
    });
    const found = openingFindings(sources).map(({ at }) => at);
    expect(found).toContain("src/lanes/lanes.ts");
    expect(found).toContain("src/ports/errors.ts");
    expect(found).toContain("src/journal/journal.ts");
    expect(found).not.toContain("src/guest/key.ts");
  });

  const spelled = (...parts: readonly string[]): string => parts.join("");
  const texts: readonly (readonly [string, number])[] = [
    [spelled("// TO", "DO later"), 1],
    [spelled("// FIX", "ME"), 1],
    ["todos, hackney, fixmes", 0],
    [spelled("see /wo", "rk/main/src"), 1],
    [spelled("see /ho", "me/somebody/x"), 1],
    ["/var/lib/steward/work/x and $HOME/x", 0],
    [spelled("see sha", "red/facts/X.md"), 1],
    [spelled("<<<<", "<<< ours"), 1],
  ];
  for (const [text, count] of texts) {
    test(`texts: ${JSON.stringify(text.slice(0, 12))}… breaks ${count} rule${count === 1 ? "" : "s"}`, () => {
      expect(textFindings([{ path: "docs/x.md", text }]).length).toBe(count);
    });
  }
});
