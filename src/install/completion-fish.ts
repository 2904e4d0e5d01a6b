import { functionName, quoted, type OptionShape, type Place } from "./completion-shape.ts";

/** For fish 3 and later. */
export function fishCompletion(program: string, places: readonly Place[]): string {
  const name = `_${functionName(program)}_at`;
  const paths = places.filter(({ path }) => path !== "").map(({ path }) => quoted(path));
  const valued = [...new Set(places.flatMap(({ options }) => options.filter(({ value }) => value !== undefined).flatMap(({ names }) => names)))];
  return `# fish completion for ${program}; made by "${program} completion fish"

# Whether the words so far lead to exactly this command.
function ${name}
    set -l at
    set -l is_value 0
    for word in (commandline -opc)[2..-1]
        if test $is_value = 1
            set is_value 0
        else if contains -- $word ${valued.join(" ")}
            set is_value 1
        else if contains -- (string join ' ' -- $at $word) ${paths.join(" ")}
            set -a at $word
        end
    end
    test "$argv[1]" = "$at"
end

complete -c ${program} -f
${places.flatMap((place) => linesOf(program, name, place)).join("\n")}
`;
}

function linesOf(program: string, at: string, { path, options, choices, commands }: Place): readonly string[] {
  const start = `complete -c ${program} -n "${at} ${quoted(path)}"`;
  return [
    ...commands.map((command) => `${start} -a ${quoted(command.name)} -d ${quoted(command.description)}`),
    ...choices.map((choice) => `${start} -a ${quoted(choice)}`),
    ...options.map((option) => `${start} ${optionWords(option)} -d ${quoted(option.description)}`),
  ];
}

function optionWords({ names, value }: OptionShape): string {
  const words = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  if (value?.isPath === true) words.push("-r -F");
  else if (value !== undefined) words.push("-x", ...(value.choices.length === 0 ? [] : [`-a ${quoted(value.choices.join(" "))}`]));
  return words.join(" ");
}
