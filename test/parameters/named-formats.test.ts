import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GUEST_KINDS } from "../../src/guest/key.ts";
import { NAMED_FORMATS, SCALAR_FORMATS } from "../../src/parameters/named-formats.ts";
import { PARAMETERS } from "../../src/parameters/schema.gen.ts";

const APIDOC = join(import.meta.dir, "../../../shared/data/pve/apidoc-guests.json");

interface Method {
  readonly method: string;
  readonly path: string;
  readonly parameters: { readonly properties?: Readonly<Record<string, { readonly format?: unknown; readonly typetext?: string }>> };
}

/** What a usage text such as `[[legacy=]<[acdn]{1,4}>] [,order=<device>]` names. */
function namedIn(usage: string): readonly string[] {
  return [...usage.matchAll(/(?:^|[,[])([\w-]+)\]?=/g)].flatMap(([, name]) => (name === undefined ? [] : [name])).sort();
}

describe("formats that the schema names without saying what they hold", () => {
  test.skipIf(!existsSync(APIDOC))("have the sub-keys of Proxmox's usage texts, and no others (needs the API schema beside the project)", () => {
    const methods = JSON.parse(readFileSync(APIDOC, "utf8")) as readonly Method[];
    const compared = GUEST_KINDS.flatMap((kind) => {
      const put = methods.find(({ method, path }) => method === "PUT" && path === `/nodes/{node}/${kind}/{vmid}/config`);
      return Object.values(put?.parameters.properties ?? {}).flatMap(({ format, typetext = "" }) => {
        const known = typeof format === "string" ? NAMED_FORMATS[format] : undefined;
        if (known === undefined) return [];
        expect([format, Object.keys(known).sort()]).toEqual([format, [...namedIn(typetext)]]);
        return [format];
      });
    });
    expect(new Set(compared)).toEqual(new Set(Object.keys(NAMED_FORMATS)));
  });

  test("are judged, or are known not to be", () => {
    const named = GUEST_KINDS.flatMap((kind) => Object.values(PARAMETERS[kind]).flatMap(({ format }) => (typeof format === "string" ? [format] : [])));
    const notJudged = ["pve-cpuset", "pve-ct-timezone", "pve-qm-bootdisk", "pve-storage-id", "pve-volume-id", "urlencoded"];
    // `pve-qm-ide` is that of ide0.
    expect([...new Set(named)].filter((name) => !(name in NAMED_FORMATS) && !(name in SCALAR_FORMATS)).sort()).toEqual([...notJudged, "pve-qm-ide"].sort());
  });

  test("have at most one value that stands without its name", () => {
    for (const [name, subKeys] of Object.entries(NAMED_FORMATS)) {
      expect([name, Object.values(subKeys).filter(({ isDefaultKey }) => isDefaultKey === true).length <= 1]).toEqual([name, true]);
    }
  });
});
