import { functionName, quoted, type OptionShape, type Place } from "./completion-shape.ts";

/** For zsh's own completion system (compinit). */
export function zshCompletion(program: string, places: readonly Place[]): string {
  const name = functionName(program);
  return `#compdef ${program}
# zsh completion for ${program}; made by "${program} completion zsh"

# What may follow a command, each "word:description", and the options that take a value.
${name}_at() {
  case "$1" in
${places.map(placeCase).join("\n")}
  esac
}

${name}() {
  local at="" word previous
  local -a commands arguments flags valued
  integer index=2
  ${name}_at "$at"
  while (( index < CURRENT )); do
    word="\${words[index]}"
    if [[ "$word" == -* ]]; then
      (( \${valued[(Ie)$word]} )) && (( index += 1 ))
    elif (( \${commands[(I)$word:*]} )); then
      at="\${at:+$at }$word"
      ${name}_at "$at"
    fi
    (( index += 1 ))
  done
  previous="\${words[CURRENT-1]}"
  if (( CURRENT > 2 && \${valued[(Ie)$previous]} )); then
    case "$at $previous" in
${places.flatMap(valueCases).join("\n")}
    esac
    return
  fi
  if [[ "\${words[CURRENT]}" == -* ]]; then
    _describe -t options option flags
  else
    (( $#commands )) && _describe -t commands command commands
    (( $#arguments )) && compadd -- $arguments
  fi
}

if [[ "\${funcstack[1]-}" == "${name}" ]]; then ${name} "$@"; else compdef ${name} ${program}; fi
`;
}

function placeCase({ path, options, choices, commands }: Place): string {
  const described = (word: string, description: string): string => quoted(`${word}:${description.replaceAll(":", ",")}`);
  const valued = options.filter(({ value }) => value !== undefined).flatMap(({ names }) => names);
  return [
    `    ${quoted(path)})`,
    `      commands=(${commands.map((command) => described(command.name, command.description)).join(" ")})`,
    `      arguments=(${choices.map(quoted).join(" ")})`,
    `      flags=(${options.flatMap(({ names, description }) => names.map((flag) => described(flag, description))).join(" ")})`,
    `      valued=(${valued.map(quoted).join(" ")})`,
    "      ;;",
  ].join("\n");
}

function valueCases({ path, options }: Place): readonly string[] {
  return options.flatMap(({ names, value }: OptionShape) => {
    if (value === undefined || (!value.isPath && value.choices.length === 0)) return [];
    const act = value.isPath ? "_files" : `compadd -- ${value.choices.map(quoted).join(" ")}`;
    return [`      ${names.map((name) => quoted(`${path} ${name}`)).join(" | ")}) ${act} ;;`];
  });
}
