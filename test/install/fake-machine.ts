import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { InstallPlan, InstallRequest } from "../../src/install/install.ts";
import { systemPrograms, type Programs } from "../../src/install/programs.ts";
import { isChange } from "../../src/install/step.ts";
import { Tree } from "../../src/install/tree.ts";
import { unitText } from "../../src/install/unit.ts";
import type { Result } from "../../src/ports/errors.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** Giving files to other users needs root; tests that do are skipped, and say so, elsewhere. */
export const isRoot = process.getuid?.() === 0;

const SECRET = "12345678-1234-1234-1234-1234567890ab";

/**
 * A machine in a directory, with programs that are real executables: each writes down how it was called
 * and does to the directory what the real one does to a machine. pveum keeps its lists in files.
 */
export class FakeMachine {
  readonly root = temporaryDirectory();
  readonly tree = new Tree(this.root);
  readonly programs: Programs;
  readonly secret = SECRET;
  readonly #bin = temporaryDirectory();

  constructor({ hasHostGroup = true, isBooted = false }: { readonly hasHostGroup?: boolean; readonly isBooted?: boolean } = {}) {
    this.put("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
    this.put("/etc/group", `root:x:0:\n${hasHostGroup ? "www-data:x:33:\n" : ""}`);
    this.put("/usr/local/bin/.keep", "");
    this.put("/etc/systemd/system/.keep", "");
    if (isBooted) mkdirSync(join(this.root, "run/systemd/system"), { recursive: true });
    this.program("useradd", `echo "steward:x:990:990:Steward agent:/var/lib/steward:/usr/sbin/nologin" >> ${this.root}/etc/passwd; echo "steward:x:990:" >> ${this.root}/etc/group`);
    this.program("usermod", `sed -i 's/^www-data:.*/&steward/' ${this.root}/etc/group`);
    this.program("userdel", `sed -i '/^steward:/d; s/steward$//' ${this.root}/etc/passwd ${this.root}/etc/group`);
    this.program("systemctl", `
case "$1" in
  is-enabled|is-active) test -e ${this.#bin}/$1 ;;
  enable) touch ${this.#bin}/is-enabled ${this.#bin}/is-active ;;
  disable) rm -f ${this.#bin}/is-enabled ${this.#bin}/is-active ;;
esac`);
    for (const list of ["role", "user", "acl", "token"]) this.pveumHas(list, []);
    this.program("pveum", `
case "$1 $2 $3" in
  "role list --output-format") cat ${this.#bin}/role.json ;;
  "user list --output-format") cat ${this.#bin}/user.json ;;
  "acl list --output-format") cat ${this.#bin}/acl.json ;;
  "user token list") cat ${this.#bin}/token.json ;;
  "user token add") echo '{"full-tokenid":"steward@pve!agent","info":{"privsep":"0"},"value":"${SECRET}"}' ;;
esac`);
    this.programs = systemPrograms(this.#bin);
  }

  /** Puts an executable on the path that first writes down its call. */
  program(name: string, body: string): void {
    const path = join(this.#bin, name);
    writeFileSync(path, `#!/bin/sh\necho "${name} $*" >> ${this.#bin}/calls\n${body}\n`);
    chmodSync(path, 0o755);
  }

  /** What pveum's list of this name says from now on. */
  pveumHas(list: string, entries: readonly unknown[]): void {
    writeFileSync(join(this.#bin, `${list}.json`), JSON.stringify(entries));
  }

  put(path: string, content: string, mode = 0o644): void {
    mkdirSync(dirname(this.tree.real(path)), { recursive: true });
    writeFileSync(this.tree.real(path), content);
    chmodSync(this.tree.real(path), mode);
  }

  /** How programs were called since the last time this was asked; questions are left out. */
  calls(): readonly string[] {
    const path = join(this.#bin, "calls");
    const lines = existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [];
    rmSync(path, { force: true });
    return lines.filter((line) => !/ list |systemctl is-/.test(line));
  }

  request(changes: Partial<InstallRequest> = {}): InstallRequest {
    const binary = join(this.#bin, "agent-to-install");
    if (!existsSync(binary)) writeFileSync(binary, "#!/bin/sh\necho agent\n");
    const texts = { completions: { bash: "# bash\n", zsh: "# zsh\n", fish: "# fish\n" }, config: "dryRun: true\n", desired: "version: 1\nguests: []\n", schema: "{}\n" };
    return { tree: this.tree, programs: this.programs, isForPackaging: false, prefix: "/usr/local", binary, texts, unitText, shouldCreateToken: false, ...changes };
  }

  /** Every file and directory with mode, owner and content: what two moments are compared by. */
  snapshot(): readonly string[] {
    return readdirSync(this.root, { recursive: true }).map(String).sort().map((name) => {
      const path = join(this.root, name);
      const { mode, uid, gid } = lstatSync(path);
      const stat = lstatSync(path);
      const content = stat.isFile() ? readFileSync(path, "utf8") : stat.isSymbolicLink() ? readlinkSync(path) : "";
      return `/${name} ${(mode & 0o7777).toString(8)} ${uid}:${gid} ${JSON.stringify(content)}`;
    });
  }
}

/** Does all of a plan; the first failure, or how many changes were made. */
export function carryOut(planned: Result<InstallPlan>): { readonly changes: number; readonly failure: string | undefined } {
  if (!planned.ok) return { changes: 0, failure: planned.error.message };
  const changes = planned.value.steps.filter(isChange);
  let failure: string | undefined;
  for (const step of changes) {
    const applied = step.apply?.();
    if (applied?.ok === false) failure = applied.error.message;
    if (failure !== undefined) break;
  }
  planned.value.finish();
  return { changes: changes.length, failure };
}
