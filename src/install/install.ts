/**
 * Installing the agent on a host, and taking it away again. Promises: everything is planned and can be
 * shown before anything is done; a second run finds everything done; what people edited is never
 * overwritten; no secret is printed. Building a package, and what the agent does once it runs, is left to others.
 */
import { fault, ok, type Result } from "../ports/errors.ts";
import { userSteps } from "./accounts.ts";
import { directoryStep, fileStep, type Place } from "./files.ts";
import { layoutOf, OWN_DIRECTORIES, PACKAGE_PREFIX, shippedFiles, TOKEN_FILE, UNIT_NAME, type Layout, type ShippedTexts } from "./layout.ts";
import type { Programs } from "./programs.ts";
import { packageRecord, Recorder } from "./record.ts";
import { byHandText, hasSystemd, startSteps } from "./service.ts";
import { isChange, type Step } from "./step.ts";
import { manualText, tokenSteps } from "./token.ts";
import type { Tree } from "./tree.ts";

/** What everything that installs needs to know of the machine. */
export interface Machine {
  readonly tree: Tree;
  readonly programs: Programs;
  /** True for a tree that is going to be packaged: files only, no owners, users or services. */
  readonly isForPackaging: boolean;
}

export interface InstallRequest extends Machine {
  readonly prefix: string;
  /** The binary that is installed, on this machine. */
  readonly binary: string;
  readonly texts: Omit<ShippedTexts, "unit">;
  readonly unitText: (binary: string) => string;
  readonly shouldCreateToken: boolean;
}

export interface InstallPlan {
  readonly steps: readonly Step[];
  /** What a person does next; may be empty. */
  readonly next: string;
  /** Writes down what was made besides files; called after the steps, also when one failed. */
  finish(): void;
}

/** Everything installing would do. Looks at the machine and changes nothing; a fault says why it cannot be done. */
export function planInstall(request: InstallRequest): Result<InstallPlan> {
  const { tree, programs, isForPackaging } = request;
  const layout = layoutOf(request.prefix);
  const isPackaged = packageRecord(tree) !== undefined;
  if (isPackaged && layout.prefix !== PACKAGE_PREFIX) {
    return fault("install.failed", "expected no other installation, found the Debian package steward: upgrade that with apt, or remove it first (its settings stay); /usr/bin/agent install --create-token makes its token");
  }
  const recorder = new Recorder(tree);
  const record = (line: string): void => recorder.add(line);
  const place: Place = { tree, hasOwners: !isForPackaging, record: isForPackaging ? () => {} : record };
  const files = isPackaged ? [] : fileSteps(request, place, layout);
  if (isForPackaging) return ok({ steps: files, next: "", finish: () => {} });
  const users = userSteps(tree, programs, record);
  if (!users.ok) return users;
  const token = request.shouldCreateToken ? tokenSteps(tree, programs) : ok([]);
  if (!token.ok) return token;
  const hasToken = request.shouldCreateToken || tree.isFile(TOKEN_FILE);
  const directories = isPackaged ? OWN_DIRECTORIES.map((directory) => directoryStep(place, directory)) : [];
  const changed = new Set(files.filter(isChange).map(({ what }) => what));
  const service = startSteps(tree, programs, { isUnitChanged: changed.has(layout.unit), isProgramChanged: changed.has(layout.unit) || changed.has(layout.binary), hasToken });
  return ok({
    steps: [...users.value, ...directories, ...files, ...token.value, ...service],
    next: nextText(layout, hasToken, hasSystemd(tree, programs)),
    finish: () => recorder.write(),
  });
}

function fileSteps({ binary, texts, unitText }: InstallRequest, place: Place, layout: Layout): readonly Step[] {
  const files = shippedFiles(layout, binary, { ...texts, unit: unitText(layout.binary) });
  return [...OWN_DIRECTORIES.map((directory) => directoryStep(place, directory)), ...files.map((file) => fileStep(place, file))];
}

function nextText(layout: Layout, hasToken: boolean, isWithSystemd: boolean): string {
  const token = hasToken ? "" : `A user, roles and a token in Proxmox (install --create-token does it here):\n${manualText()}`;
  const start = isWithSystemd
    ? hasToken ? "" : `Then:\n  systemctl enable --now ${UNIT_NAME}\n`
    : `Without systemd, start it by hand, or from your own service manager, as root:\n${byHandText(layout.binary)}`;
  return `${token}${start}`;
}
