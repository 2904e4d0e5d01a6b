/**
 * Draws docs/img/demo.svg and docs/img/plan.svg from what the program really prints on a terminal,
 * colours included: the demo, and a plan that shows every kind of line.
 *
 *   bun scripts/draw-demo.ts
 *
 * What is different at every run (ids, hashes, ports, process numbers) is replaced with fixed
 * stand-ins, so that apart from times a drawing changes only when the output does.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemClock } from "../src/runtime/clock.ts";
import { SystemRandom } from "../src/runtime/random.ts";
import { startSimulator } from "../src/simulator/main.ts";

const ROOT = join(import.meta.dir, "..");
const IMAGES = join(ROOT, "docs/img");

/** Columns of the terminal: what fits across a page of documentation and can still be read. */
const COLUMNS = 118;
/** Pixels. A monospaced character is 0.6 of its height wide in nearly every font. */
const FONT_SIZE = 13;
const CHARACTER_WIDTH = 7.8;
const LINE_HEIGHT = 18;
const MARGIN = 18;
const TITLE_HEIGHT = 34;

const BACKGROUND = "#15191f";
const TITLE_BACKGROUND = "#232932";
const FOREGROUND = "#c6cdd5";
/** The colours src/plan/render-style.ts uses, by their SGR number: ink and weight. */
const INKS: Readonly<Record<string, { readonly fill: string; readonly isBold?: boolean }>> = {
  "1": { fill: "#ffffff", isBold: true },
  "2": { fill: "#7f8995" },
  "31": { fill: "#ff7b72" },
  "32": { fill: "#7ee787" },
  "33": { fill: "#e3b341" },
  "35": { fill: "#d2a8ff" },
  "36": { fill: "#76e3ea" },
};

/** A stretch of one line in one colour; `column` counts from 0. */
interface Run {
  readonly column: number;
  readonly text: string;
  /** SGR number, "" for plain. */
  readonly ink: string;
}

/** Runs a command on a terminal of its own and gives what it printed. Throws when it fails unexpectedly. */
async function record(words: readonly string[], expectedExit: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  const child = Bun.spawn([process.execPath, "src/main.ts", ...words], {
    cwd: ROOT,
    // No NO_COLOR of the one who runs this; and a terminal wide enough not to wrap by itself.
    env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", TERM: "xterm-256color" },
    terminal: { cols: 500, rows: 200, data: (_terminal, bytes) => (text += decoder.decode(bytes, { stream: true })) },
  });
  const code = await child.exited;
  child.terminal?.close();
  if (code !== expectedExit) throw new Error(`"agent ${words.join(" ")}" exited with ${code}, expected ${expectedExit}:\n${text}`);
  return text.replaceAll("\r\n", "\n");
}

const STAND_IN_HASH = new Bun.CryptoHasher("sha256").update("steward").digest("hex");

/** The same text with stand-ins of the same length for what chance or the system chose. */
export function steady(text: string): string {
  return text
    .replace(/(?<=127\.0\.0\.1:)\d+/g, "9100")
    .replace(/\b[0-9a-f]{64}\b/g, STAND_IN_HASH)
    .replace(/\b[0-9a-f]{40}\b/g, STAND_IN_HASH.slice(0, 40))
    .replace(/(?<=UPID:[\w-]+:)[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}/g, "0000A1B2:00C3D4E5:68F00000")
    .replace(/(?<= {2})[0-9a-hjkmnp-tv-z]{6}(?= {2}(?:planned|start|task|succeed|fail|lose|abandon)\b)/g, standIns());
}

/** op001, op002 …: one for each id, in the order they appear. */
function standIns(): (id: string) => string {
  const known = new Map<string, string>();
  return (id) => {
    const standIn = known.get(id) ?? `op${String(known.size + 1).padStart(4, "0")}`;
    known.set(id, standIn);
    return standIn;
  };
}

/** Splits ANSI text into lines of runs; longer ones go on below, between words, under the column they belong to. */
export function parseAnsi(text: string, columns: number): readonly (readonly Run[])[] {
  let ink = "";
  return text.replace(/\n+$/, "").split("\n").flatMap((line) => {
    const characters: { readonly text: string; readonly ink: string }[] = [];
    for (const part of line.split(/(\u001b\[[0-9;]*[A-Za-z])/)) {
      const code = /^\u001b\[([0-9;]*)([A-Za-z])$/.exec(part);
      if (code === null) for (const character of part) characters.push({ text: character, ink });
      else if (code[2] === "m") ink = code[1] === "0" ? "" : (code[1] ?? "");
    }
    const plain = characters.map((character) => character.text).join("");
    return wrap(plain, columns).map(({ from, to, indent }) => {
      const runs: Run[] = [];
      for (let index = from; index < to; index++) {
        const { text: character, ink: own } = characters[index] ?? { text: " ", ink: "" };
        const last = runs.at(-1);
        if (last !== undefined && last.ink === own) runs[runs.length - 1] = { ...last, text: last.text + character };
        else runs.push({ column: indent + index - from, text: character, ink: own });
      }
      return runs;
    });
  });
}

interface Row {
  readonly from: number;
  readonly to: number;
  /** Column the row begins at. */
  readonly indent: number;
}

function wrap(line: string, columns: number): readonly Row[] {
  const hanging = hangingIndent(line);
  const rows: Row[] = [];
  let [from, indent] = [0, 0];
  while (line.length - from > columns - indent) {
    const most = from + columns - indent;
    const blank = line.lastIndexOf(" ", most);
    const to = blank >= from + (columns - indent) / 2 ? blank : most;
    rows.push({ from, to, indent });
    from = line[to] === " " ? to + 1 : to;
    indent = hanging;
  }
  return [...rows, { from, to: line.length, indent }];
}

/** Where the last of a line's columns begins; without columns, a little inside of the line itself. */
function hangingIndent(line: string): number {
  const leading = line.length - line.trimStart().length;
  const starts = [...line.slice(0, COLUMNS / 2).matchAll(/(?<=\S {2,})\S/g)].map((match) => match.index);
  return starts.at(-1) ?? leading + 3;
}

/** A terminal window as SVG. Each run says how wide it is, so that columns line up in any font. */
export function drawTerminal(title: string, lines: readonly (readonly Run[])[]): string {
  const width = Math.round(COLUMNS * CHARACTER_WIDTH + 2 * MARGIN);
  const height = TITLE_HEIGHT + lines.length * LINE_HEIGHT + 2 * MARGIN;
  const rows = lines.flatMap((runs, row) => runs.map((run) => drawRun(run, TITLE_HEIGHT + MARGIN + FONT_SIZE + row * LINE_HEIGHT)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}">`,
    `<rect width="${width}" height="${height}" rx="9" fill="${BACKGROUND}"/>`,
    `<path d="M0 ${TITLE_HEIGHT}V9a9 9 0 0 1 9-9h${width - 18}a9 9 0 0 1 9 9v${TITLE_HEIGHT - 9}z" fill="${TITLE_BACKGROUND}"/>`,
    ...["#ff5f57", "#febc2e", "#28c840"].map((fill, index) => `<circle cx="${20 + index * 19}" cy="${TITLE_HEIGHT / 2}" r="5.5" fill="${fill}"/>`),
    `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="${FONT_SIZE}" fill="${FOREGROUND}" xml:space="preserve">`,
    `<text x="${width / 2}" y="${TITLE_HEIGHT / 2 + 4.5}" text-anchor="middle" fill="#8b949e">${escapeXml(title)}</text>`,
    ...rows,
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

function drawRun({ column, text, ink }: Run, y: number): string {
  const lead = text.length - text.trimStart().length;
  const shown = text.trim();
  if (shown === "") return "";
  const { fill, isBold = false } = INKS[ink] ?? { fill: undefined };
  const x = (MARGIN + (column + lead) * CHARACTER_WIDTH).toFixed(1);
  const length = (shown.length * CHARACTER_WIDTH).toFixed(1);
  const paint = `${fill === undefined ? "" : ` fill="${fill}"`}${isBold ? ' font-weight="bold"' : ""}`;
  return `<text x="${x}" y="${y}" textLength="${length}"${paint}>${escapeXml(shown)}</text>`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** What the plan's picture declares: one guest for each thing that a plan can say. */
const PLANNED = `version: 1
guests:
  - vmid: 100
    kind: qemu
    state: running
    config: { cores: 2, memory: 2048, tags: [prod, web], net0: { tag: 20 } }
  - vmid: 101
    kind: qemu
    state: running
    config: { description: "PostgreSQL, nightly dumps at two" }
  - { vmid: 102, kind: qemu, config: { onboot: true } }
  - { vmid: 103, kind: lxc, mode: observe, config: { cores: 8 } }
  - { vmid: 104, kind: qemu, config: { scsi1: "local:8" } }
  - { vmid: 107, kind: lxc, config: { onboot: true } }
`;

/** `agent plan` against a simulated host of ten guests, one switched off and one locked by a backup. */
async function recordPlan(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "steward-draw-"));
  const simulator = await startSimulator({
    listen: { hostname: "127.0.0.1", port: 0 }, guests: 10, seed: 1, clock: new SystemClock(), random: new SystemRandom(),
    tokenFile: join(directory, "token"), tlsDir: join(directory, "tls"),
  });
  try {
    await simulator.node.edit({ vmid: 101, power: "stop" });
    await simulator.node.edit({ vmid: 102, lock: "backup" });
    mkdirSync(join(directory, "desired"));
    writeFileSync(join(directory, "desired/guests.yaml"), PLANNED);
    const settings = {
      node: "pve1", stateDir: "state", host: { enabled: false }, desired: { source: "directory", path: "desired" }, socket: "agent.sock",
      proxmox: { url: simulator.url, tokenFile: "token", tls: { caFile: "tls/pve-root-ca.pem" } },
    };
    writeFileSync(join(directory, "agent.yaml"), Bun.YAML.stringify(settings));
    return await record(["--config", join(directory, "agent.yaml"), "plan"], 2);
  } finally {
    await simulator.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function draw(name: string, command: string, output: string): void {
  mkdirSync(IMAGES, { recursive: true });
  const path = join(IMAGES, name);
  writeFileSync(path, drawTerminal(command, parseAnsi(`\u001b[1m$ ${command}\u001b[0m\n${steady(output)}`, COLUMNS)));
  console.log(`drew ${path}`);
}

if (import.meta.main) {
  draw("demo.svg", "npx -y bun@1.4.5 run demo", await record(["demo"], 0));
  draw("plan.svg", "agent plan", await recordPlan());
}
