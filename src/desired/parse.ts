/**
 * Desired state: what an operator declared, read from text, checked whole, and hashed. Pure. Promises:
 * one bad file makes the whole set unusable (the caller keeps the last good one); a vmid declared
 * twice is nobody's, the others work; the revision depends on the meaning alone. Where the texts come
 * from is left to the sources; which keys Proxmox has is parameters/'s, what they mean normalize/'s and plan/'s.
 */
import * as v from "valibot";
import { type DocumentNode, type DocumentResult, type DocumentTree, PROBLEMS_MAX, toPlain } from "../document/document.ts";
import { parseDocument } from "../document/parse.ts";
import { checkConfig } from "../parameters/check-config.ts";
import { type DesiredConflict, type DesiredGuest, type DesiredProblem, type DesiredState, type SourcePosition } from "./model.ts";
import { problemOfConfig, problemOfDocument, problemsOfIssues } from "./problems.ts";
import { revisionOf } from "./revision.ts";
import { FileSchema, VersionSchema, type WrittenGuest } from "./schema.ts";

/** Nodes in a tree of which everything that is wrong is told; of a larger one only something, since an issue of each node takes seconds to make. */
const EXPLAINED_SIZE_MAX = 20_000;

/** A file's name, as messages shall give it, and its text. */
export interface DesiredFile {
  readonly name: string;
  readonly text: string;
}

/** One file, read. With problems there are no guests. */
export interface ParsedFile {
  readonly guests: readonly DesiredGuest[];
  readonly problems: readonly DesiredProblem[];
}

/** A whole set, read. With problems it declares nothing and its revision is empty: it must not replace a good one. */
export interface ParsedDesired extends DesiredState {
  readonly problems: readonly DesiredProblem[];
}

/** Reads a set of files as one desired state. Order and split over files do not matter. */
export function parseDesiredFiles(files: readonly DesiredFile[]): ParsedDesired {
  return combineFiles(files.map(parseDesiredFile));
}

/** Reads one file. */
export function parseDesiredFile(file: DesiredFile): ParsedFile {
  return judgeDocument(parseDocument(file.name, file.text));
}

/** What a parsed text declares. */
export function judgeDocument(document: DocumentResult): ParsedFile {
  if (!document.ok) return { guests: [], problems: document.problems.map(problemOfDocument) };
  const { tree } = document;
  const plain = toPlain(tree.root);
  const version = v.safeParse(VersionSchema, plain);
  // A text that is no map at all fails both; the file's schema says it better.
  const isMap = tree.root.type === "map";
  if (isMap && !version.success) return { guests: [], problems: problemsOfIssues(tree, version.issues) };
  const parsed = v.safeParse(FileSchema, plain, { abortEarly: tree.size > EXPLAINED_SIZE_MAX });
  if (!parsed.success) return { guests: [], problems: problemsOfIssues(tree, parsed.issues) };
  const problems = configProblems(tree, parsed.output.guests);
  if (problems.length > 0) return { guests: [], problems };
  return { guests: parsed.output.guests.map((guest, index) => toGuest(guest, guestPosition(tree, index))), problems: [] };
}

/** What Proxmox would refuse for its name or its form, in the order of the file, at most PROBLEMS_MAX. */
function configProblems(tree: DocumentTree, guests: readonly WrittenGuest[]): DesiredProblem[] {
  const problems: DesiredProblem[] = [];
  for (const [index, { kind, config }] of guests.entries()) {
    for (const problem of checkConfig(kind, config, PROBLEMS_MAX)) problems.push(problemOfConfig(tree, index, problem));
    if (problems.length >= PROBLEMS_MAX) break;
  }
  return problems.slice(0, PROBLEMS_MAX);
}

/** Puts files together: conflicts found, guests by vmid, the revision of the whole. */
export function combineFiles(files: readonly ParsedFile[]): ParsedDesired {
  const problems = files.flatMap((file) => file.problems);
  if (problems.length > 0) return { guests: new Map(), conflicts: [], revision: "", problems };
  const declarations = files.flatMap((file) => file.guests).sort(byVmidThenPlace);
  const byVmid = Map.groupBy(declarations, (guest) => guest.vmid);
  const guests = new Map<number, DesiredGuest>();
  const conflicts: DesiredConflict[] = [];
  for (const [vmid, declared] of byVmid) {
    const [first] = declared;
    if (first !== undefined && declared.length === 1) guests.set(vmid, first);
    else conflicts.push({ vmid, positions: declared.map((guest) => guest.position) });
  }
  return { guests, conflicts, revision: revisionOf(declarations), problems };
}

function toGuest(written: WrittenGuest, position: SourcePosition): DesiredGuest {
  return { vmid: written.vmid, kind: written.kind, mode: written.mode, state: written.state, config: written.config, position };
}

function guestPosition(tree: DocumentTree, index: number): SourcePosition {
  return tree.positionAt(guestNode(tree.root, index)?.offset ?? 0);
}

function guestNode(root: DocumentNode, index: number): DocumentNode | undefined {
  const guests = root.type === "map" ? root.entries.get("guests")?.node : undefined;
  return guests?.type === "list" ? guests.items[index] : undefined;
}

function byVmidThenPlace(left: DesiredGuest, right: DesiredGuest): number {
  return left.vmid - right.vmid || compareText(left.position.file, right.position.file) || left.position.line - right.position.line || left.position.column - right.position.column;
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
