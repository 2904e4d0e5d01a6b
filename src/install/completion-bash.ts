import { functionName, quoted, type OptionShape, type Place } from "./completion-shape.ts";

/** For bash 4 and later; needs nothing of the package bash-completion. */
export function bashCompletion(program: string, places: readonly Place[]): string {
  const name = functionName(program);
  return `# bash completion for ${program}; made by "${program} completion bash"

# Words that may follow a command: its sub-commands and arguments, its options, those that take a value.
${name}_at() {
  case "$1" in
${places.map(placeCase).join("\n")}
  esac
}

# What an option's value may be; "/" stands for a file.
${name}_values() {
  case "$1 $2" in
${places.flatMap(valueCases).join("\n")}
  esac
}

${name}() {
  local at="" words="" flags="" valued="" word previous index=1
  ${name}_at "$at"
  while ((index < COMP_CWORD)); do
    word="\${COMP_WORDS[index]}"
    case "$word" in
      -*)
        # "--flag=x" arrives as three words.
        if [[ "\${COMP_WORDS[index + 1]-}" == "=" ]] && ((index + 2 < COMP_CWORD)); then ((index += 2))
        elif [[ " $valued " == *" $word "* ]] && ((index + 1 < COMP_CWORD)) && [[ "\${COMP_WORDS[index + 1]}" != "=" ]]; then ((index += 1)); fi
        ;;
      *) if [[ " $words " == *" $word "* ]]; then at="\${at:+$at }$word"; ${name}_at "$at"; fi ;;
    esac
    ((index += 1))
  done
  word="\${COMP_WORDS[COMP_CWORD]-}"
  previous="\${COMP_WORDS[COMP_CWORD - 1]}"
  if [[ "$word" == "=" ]]; then word=""
  elif [[ "$previous" == "=" ]] && ((COMP_CWORD > 1)); then previous="\${COMP_WORDS[COMP_CWORD - 2]}"; fi
  COMPREPLY=()
  if [[ " $valued " == *" $previous "* ]]; then
    words="$(${name}_values "$at" "$previous")"
    if [[ "$words" == "/" ]]; then
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return
    fi
  elif [[ "$word" == -* ]]; then words="$flags"; fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F ${name} ${program}
`;
}

function placeCase({ path, options, choices, commands }: Place): string {
  const words = [...commands.map((command) => command.name), ...choices];
  const flags = options.flatMap(({ names }) => names);
  const valued = options.filter(({ value }) => value !== undefined).flatMap(({ names }) => names);
  return `    ${quoted(path)}) words=${quoted(words.join(" "))} flags=${quoted(flags.join(" "))} valued=${quoted(valued.join(" "))} ;;`;
}

function valueCases({ path, options }: Place): readonly string[] {
  return options.flatMap(({ names, value }: OptionShape) => {
    const answer = value === undefined ? "" : value.isPath ? "/" : value.choices.join(" ");
    return answer === "" ? [] : [`    ${names.map((name) => quoted(`${path} ${name}`)).join(" | ")}) echo ${quoted(answer)} ;;`];
  });
}
