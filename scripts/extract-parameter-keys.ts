import { readFileSync, writeFileSync } from "node:fs";
import * as v from "valibot";

/**
 * Writes test/gate/parameter-keys.json: the name of every parameter that Proxmox's API takes when a
 * guest is created or its config is changed, per kind ("net[n]" for indexed ones). The gate's property
 * test runs over all of them, so that no key can be forgotten.
 *
 *     bun scripts/extract-parameter-keys.ts API.json
 *
 * API.json is Proxmox's own machine-readable schema as a flat list of methods: path, method, parameters.
 */

const SchemaFile = v.array(
  v.object({
    path: v.string(),
    method: v.string(),
    parameters: v.optional(v.object({ properties: v.optional(v.record(v.string(), v.unknown()), {}) }), {}),
  }),
);

const OUTPUT = new URL("../test/gate/parameter-keys.json", import.meta.url);
const CHANGING = new Set(["POST", "PUT"]);

function keysOf(methods: v.InferOutput<typeof SchemaFile>, kind: "qemu" | "lxc"): string[] {
  const paths = new Set([`/nodes/{node}/${kind}`, `/nodes/{node}/${kind}/{vmid}/config`]);
  const keys = methods
    .filter((method) => paths.has(method.path) && CHANGING.has(method.method))
    .flatMap((method) => Object.keys(method.parameters.properties ?? {}));
  return [...new Set(keys)].sort();
}

const [source] = process.argv.slice(2);
if (source === undefined) {
  process.stderr.write("expected the path of Proxmox's API schema: bun scripts/extract-parameter-keys.ts API.json\n");
  process.exit(64);
}
const methods = v.parse(SchemaFile, JSON.parse(readFileSync(source, "utf8")));
const keys = { qemu: keysOf(methods, "qemu"), lxc: keysOf(methods, "lxc") };
writeFileSync(OUTPUT, `${JSON.stringify(keys, null, 2)}\n`);
process.stdout.write(`${keys.qemu.length} keys for qemu, ${keys.lxc.length} for lxc\n`);
