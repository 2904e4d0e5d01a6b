import { Argument, type Command } from "commander";
import { settingsJsonSchema } from "../config/json-schema.ts";
import { desiredJsonSchema } from "../desired/json-schema.ts";
import { allowedKey } from "../gate/allow-list.ts";
import type { GuestKind } from "../guest/key.ts";
import { EXIT, json, type CommandContext, type ExitCode } from "./context.ts";

/** `agent schema desired|config`: JSON Schema for editors, on standard output. */
export function addSchemaCommand(program: Command, context: CommandContext, finish: (code: ExitCode) => void): void {
  program
    .command("schema")
    .description("JSON Schema of the desired state or of the agent's settings, for completion in an editor")
    .addArgument(new Argument("<what>", "desired or config").choices(["desired", "config"]))
    .addHelpText("after", SCHEMA_HELP)
    .action((what: string) => {
      context.print(json(schemaText(what === "desired" ? "desired" : "config")));
      finish(EXIT.done);
    });
}

const SCHEMA_HELP = `
In an editor with a YAML language server:
  agent schema desired > desired.schema.json
and as the first line of a file beside it:
  # yaml-language-server: $schema=./desired.schema.json`;

/** The schema as a value. */
export function schemaText(what: "desired" | "config"): Readonly<Record<string, unknown>> {
  return what === "desired" ? desiredJsonSchema(noteOf) : settingsJsonSchema();
}

function noteOf(kind: GuestKind, key: string): string {
  const allowed = allowedKey(kind, key);
  if (allowed === undefined) return "Compared and reported; Steward does not change it by itself.";
  return allowed.set === "turn_on" ? "Steward only ever turns it on." : "";
}
