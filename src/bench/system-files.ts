import { readdirSync, readFileSync, realpathSync } from "node:fs";
import type { SystemFiles } from "./machine.ts";

/** The kernel's own files, and where links lead; whatever cannot be read is simply not known. */
export const SYSTEM_FILES: SystemFiles = {
  read: (path) => orNothing(() => readFileSync(path, "utf8").trim()),
  list: (path) => orNothing(() => readdirSync(path)) ?? [],
  realPath: (path) => orNothing(() => realpathSync(path)),
};

function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
