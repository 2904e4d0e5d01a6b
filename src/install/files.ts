import { idsOf } from "./accounts.ts";
import type { OwnDirectory, Owner, ShippedFile } from "./layout.ts";
import { change, keep, leave, type Step } from "./step.ts";
import type { Tree } from "./tree.ts";

/** Where files go and whose they become. */
export interface Place {
  readonly tree: Tree;
  /** False in a tree for packaging: whoever unpacks it decides. */
  readonly hasOwners: boolean;
  /** Told of every directory that is made on the way. */
  readonly record: (line: string) => void;
}

function rightsText(mode: number, owner: Owner): string {
  return `0${mode.toString(8)} ${owner}`;
}

function hasRights(place: Place, path: string, mode: number, owner: Owner): boolean {
  const entry = place.tree.look(path);
  if (entry === undefined || entry.mode !== mode) return false;
  if (!place.hasOwners) return true;
  const ids = idsOf(place.tree, owner);
  return ids !== undefined && entry.uid === ids.uid && entry.gid === ids.gid;
}

function ownersOf(place: Place, owner: Owner): ReturnType<typeof idsOf> {
  if (!place.hasOwners) return undefined;
  const ids = idsOf(place.tree, owner);
  if (ids === undefined) throw new Error(`there is no user and group ${owner}`);
  return ids;
}

/** Makes one of the agent's directories, or gives it the rights it must have. */
export function directoryStep(place: Place, { path, mode, owner }: OwnDirectory): Step {
  const { tree } = place;
  const found = tree.look(path);
  if (found !== undefined && found.kind !== "directory") {
    return change("create", path, rightsText(mode, owner), () => {
      throw new Error("expected a directory or nothing there, found something else; move it away");
    });
  }
  if (found !== undefined && hasRights(place, path, mode, owner)) return keep(path);
  return change(found === undefined ? "create" : "change", path, rightsText(mode, owner), () => {
    if (found === undefined) {
      for (const made of tree.makeParents(path)) place.record(`directory ${made}`);
      tree.makeDirectory(path);
    }
    tree.setRights(path, mode, ownersOf(place, owner));
  });
}

/** Puts a file in place; one that people edit is only touched while it is still as it was shipped. */
export function fileStep(place: Place, file: ShippedFile): Step {
  return file.shippedCopy === undefined || typeof file.content !== "string" ? plainStep(place, file) : editedStep(place, file, file.content, file.shippedCopy);
}

function plainStep(place: Place, file: ShippedFile): Step {
  const { path, mode, owner, content } = file;
  const isThere = place.tree.look(path) !== undefined;
  if (isThere && hasRights(place, path, mode, owner) && place.tree.holds(path, content)) return keep(path);
  return change(isThere ? "change" : "create", path, rightsText(mode, owner), () => put(place, file, path));
}

/** The rules of a package manager's conffiles: deleted stays deleted, edited stays as it is, and news go beside it. */
function editedStep(place: Place, file: ShippedFile, content: string, shippedCopy: string): Step {
  const { path, mode, owner } = file;
  const { tree } = place;
  const [found, before] = [tree.readText(path), tree.readText(shippedCopy)];
  if (found === undefined) return before === undefined ? change("create", path, rightsText(mode, owner), () => put(place, file, path)) : leave(path, "was removed");
  if (found === content) return hasRights(place, path, mode, owner) ? keep(path) : change("change", path, rightsText(mode, owner), () => tree.setRights(path, mode, ownersOf(place, owner)));
  if (found === before) return change("change", path, "was as shipped; the new default", () => put(place, file, path));
  const beside = `${path}.new`;
  if (before === content || tree.readText(beside) === content) return leave(path, "was edited");
  return change("create", beside, `${path} was edited and stays; this is the new default`, () => put(place, file, beside));
}

function put(place: Place, { content, mode, owner }: ShippedFile, path: string): void {
  for (const made of place.tree.makeParents(path)) place.record(`directory ${made}`);
  place.tree.write(path, content, mode, ownersOf(place, owner));
}

/** Takes a file away, if it is there. */
export function removeFileSteps(tree: Tree, path: string): readonly Step[] {
  const found = tree.look(path);
  if (found === undefined) return [];
  return found.kind === "directory" ? [leave(path, "is a directory, none of ours")] : [change("remove", path, "", () => tree.removeFile(path))];
}

/** Takes directories away that are empty once `before` is done, the deepest first; others are nothing to do. */
export function removeEmptyStep(tree: Tree, paths: readonly string[], before: readonly Step[]): readonly Step[] {
  const going = new Set(before.filter(({ verb }) => verb === "remove").map(({ what }) => what));
  const steps: Step[] = [];
  for (const path of paths.filter((one) => tree.look(one)?.kind === "directory").toSorted((a, b) => b.length - a.length)) {
    if (!tree.list(path).every((name) => going.has(`${path}/${name}`))) continue;
    going.add(path);
    steps.push(change("remove", path, "if it is empty", () => tree.removeEmpty(path)));
  }
  return steps;
}
