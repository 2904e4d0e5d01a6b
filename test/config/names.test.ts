import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { configFlags, flagOf, flagValues, OTHER_VARIABLES, variableOf } from "../../src/config/names.ts";
import { SETTINGS } from "../../src/config/settings.ts";

describe("the names of a setting", () => {
  test.each([
    ["proxmox.requestTimeout", "STEWARD_PROXMOX_REQUEST_TIMEOUT", "--proxmox-request-timeout"],
    ["proxmox.tls.caFile", "STEWARD_PROXMOX_TLS_CA_FILE", "--proxmox-tls-ca-file"],
    ["stateDir", "STEWARD_STATE_DIR", "--state-dir"],
    ["desired.source", "STEWARD_DESIRED_SOURCE", "--desired-source"],
    ["node", "STEWARD_NODE", "--node"],
  ] as const)("%s is %s and %s", (key, variable, flag) => {
    expect([variableOf(key), flagOf(key)]).toEqual([variable, flag]);
  });

  test("no two settings share a variable, a flag or commander's attribute, nor the name of another variable", () => {
    const variables = [...SETTINGS.map(({ key }) => variableOf(key)), ...OTHER_VARIABLES];
    expect(new Set(variables).size).toBe(variables.length);
    expect(new Set(configFlags().map(({ flag }) => flag.split(" ")[0])).size).toBe(SETTINGS.length);
    expect(new Set(configFlags().map(({ attribute }) => attribute)).size).toBe(SETTINGS.length);
  });
});

describe("flags on a command line", () => {
  const parse = (...words: string[]) => {
    const command = new Command();
    for (const { flag, description } of configFlags()) command.option(flag, description);
    return flagValues(command.parse(words, { from: "user" }).opts());
  };

  test("every one of them arrives as its setting", () => {
    const words = configFlags().flatMap(({ flag }) => [flag.split(" ")[0] ?? "", "value"]);
    expect(parse(...words)).toEqual(Object.fromEntries(SETTINGS.map(({ key }) => [key, "value"])));
  });

  test("true/false settings may stand alone, and what was not given is not there", () => {
    expect(parse("--dry-run", "--node", "pve1")).toEqual({ dryRun: "true", node: "pve1" });
    expect(parse("--dry-run", "false")).toEqual({ dryRun: "false" });
    expect(parse()).toEqual({});
  });
});

test("docs/configuration.md holds the table of settings as it is", () => {
  const rows = SETTINGS.map(({ key, type, default: byDefault, description }) => {
    const cells = [`\`${key}\``, type.replaceAll("|", ", "), byDefault === undefined ? "–" : key === "node" ? byDefault : `\`${byDefault}\``, `\`${variableOf(key)}\``, `\`${flagOf(key)}\``, description];
    return `| ${cells.join(" | ")} |`;
  });
  const table = ["| setting | written as | default | variable | flag | what it is |", "|---|---|---|---|---|---|", ...rows].join("\n");
  const text = readFileSync(join(import.meta.dir, "../../docs/configuration.md"), "utf8");
  expect(text.split("<!-- settings -->")[1]?.split("<!-- /settings -->")[0]?.trim()).toBe(table);
});
