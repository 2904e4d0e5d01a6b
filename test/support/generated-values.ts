import fc from "fast-check";
import type { DeclaredMap, DeclaredScalar, DeclaredValue } from "../../src/guest/declared.ts";

/**
 * Values as hosts have them: a drawn *meaning*, and many spellings of it, in a guest's file and in a
 * declaration. Which spellings are one value is written down here a second time, from docs/proxmox.md and
 * not from the normalizers: a generator that asked the code under test would agree with its mistakes.
 */

/** Choices of spelling that follow from one number. 0 always chooses the first, so that shrinking ends at plain spellings. */
export class Dice {
  readonly #isPlain: boolean;
  #state: number;

  constructor(style: number) {
    this.#isPlain = style === 0;
    this.#state = style >>> 0;
  }

  /** A whole number below `count`. */
  below(count: number): number {
    if (this.#isPlain) return 0;
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
  }

  pick<T>(first: T, ...others: readonly T[]): T {
    const index = this.below(others.length + 1);
    return index === 0 ? first : (others[index - 1] ?? first);
  }

  shuffled<T>(items: readonly T[]): T[] {
    const rest = [...items];
    if (this.#isPlain) return rest;
    return items.flatMap(() => rest.splice(this.below(rest.length), 1));
  }
}

/** One value of a key or of a sub-key, in all its spellings. */
export interface Leaf {
  readonly meaning: fc.Arbitrary<string>;
  /** As it may stand in a guest's file, or as text in a declaration. */
  readonly stored: (meaning: string, dice: Dice) => string;
  /** As a declaration may have it behind a key of a map. */
  readonly declared: (meaning: string, dice: Dice) => DeclaredScalar | readonly DeclaredScalar[];
}

const asItIs = (meaning: string): string => meaning;

/** Texts with one spelling each. */
export function words(first: string, ...others: readonly string[]): Leaf {
  return { meaning: fc.constantFrom(first, ...others), stored: asItIs, declared: asItIs };
}

/** Row 3: the words of a boolean, in any case. */
const TRUE_WORDS = ["1", "on", "yes", "true", "On", "TRUE"] as const;
const FALSE_WORDS = ["0", "off", "no", "false", "Off", "NO"] as const;

export const FLAG: Leaf = {
  meaning: fc.constantFrom("0", "1"),
  stored: (meaning, dice) => (meaning === "1" ? dice.pick(...TRUE_WORDS) : dice.pick(...FALSE_WORDS)),
  declared: (meaning, dice) => (meaning === "1" ? dice.pick<DeclaredScalar>(true, 1, ...TRUE_WORDS) : dice.pick<DeclaredScalar>(false, 0, ...FALSE_WORDS)),
};

const WIDE = 100_000;

/** Row 4: whole numbers, as number or text, with leading zeros. */
export function whole(minimum = 0, maximum = WIDE): Leaf {
  const values = [minimum, minimum + 1, minimum + 2, 16, 64, 100, 512, 1024, 4096, maximum].filter((value) => value >= minimum && value <= maximum);
  return {
    meaning: fc.constantFrom(...values).map(String),
    stored: (meaning, dice) => dice.pick(meaning, meaning, `0${meaning}`),
    declared: (meaning, dice) => dice.pick<DeclaredScalar>(Number(meaning), meaning, `0${meaning}`),
  };
}

/** Decimals, with zeros behind. */
export function decimal(minimum = 0, maximum = WIDE): Leaf {
  const values = [minimum, minimum + 0.5, minimum + 1, minimum + 2.25, maximum].filter((value) => value >= minimum && value <= maximum);
  return {
    meaning: fc.constantFrom(...values).map(String),
    stored: (meaning, dice) => dice.pick(meaning, meaning.includes(".") ? `${meaning}0` : `${meaning}.0`),
    declared: (meaning, dice) => dice.pick<DeclaredScalar>(Number(meaning), meaning, meaning.includes(".") ? `${meaning}0` : meaning),
  };
}

/** Texts whose case means nothing. */
export function caseless(first: string, ...others: readonly string[]): Leaf {
  const cased = (meaning: string, dice: Dice): string => dice.pick(meaning, meaning.toLowerCase());
  return { meaning: fc.constantFrom(first, ...others), stored: cased, declared: cased };
}

/** Several items behind one key, whose order means nothing; `joiner` as Proxmox takes them. */
export function setOf(joiner: string, first: string, ...others: readonly string[]): Leaf {
  const items = [first, ...others];
  const spelled = (meaning: string, dice: Dice): string[] => dice.shuffled(meaning.split(joiner));
  return {
    meaning: fc.shuffledSubarray(items, { minLength: 1, maxLength: Math.min(3, items.length) }).map((some) => some.join(joiner)),
    stored: (meaning, dice) => spelled(meaning, dice).join(joiner),
    declared: (meaning, dice) => dice.pick<DeclaredScalar | readonly DeclaredScalar[]>(spelled(meaning, dice).join(joiner), spelled(meaning, dice)),
  };
}

/** Leaves whose spellings are told one by one: each list is one meaning, its first item the plain one. */
export function spellings(...meanings: readonly (readonly [string, ...string[]])[]): Leaf {
  const bySpelling = new Map(meanings.map((list) => [list[0], list]));
  const spelled = (meaning: string, dice: Dice): string => dice.pick(...(bySpelling.get(meaning) ?? [meaning]));
  return { meaning: fc.constantFrom(...bySpelling.keys()), stored: spelled, declared: spelled };
}

/** The same, where a file always has the plain spelling and only a declaration another. */
export function declaredSpellings(...meanings: readonly (readonly [string, ...string[]])[]): Leaf {
  return { ...spellings(...meanings), stored: asItIs };
}

/** A key's values: what it may mean, how a file has it, how a declaration. */
export interface Shape<M> {
  readonly meaning: fc.Arbitrary<M>;
  readonly stored: (meaning: M, dice: Dice) => string;
  /** The whole of it. */
  readonly declared: (meaning: M, dice: Dice) => DeclaredValue;
  /** Some sub-keys of it: over a guest that has all of them, the same. */
  readonly part?: (meaning: M, dice: Dice) => DeclaredValue;
  /** Some sub-keys declared absent. */
  readonly without?: (meaning: M, dice: Dice) => DeclaredValue;
}

/** A key that has one value. */
export function single(leaf: Leaf): Shape<string> {
  return leaf;
}

/** A key that has a list, whose order means something or not; `separators` as a file may have them. */
export function listShape(options: { readonly items: readonly string[]; readonly separators: readonly [string, ...string[]]; readonly isSet: boolean; readonly respell?: (item: string, dice: Dice) => string }): Shape<readonly string[]> {
  const { items, separators, isSet, respell = asItIs } = options;
  const spelled = (meaning: readonly string[], dice: Dice): string[] => {
    const all = (isSet ? dice.shuffled(meaning) : [...meaning]).map((item) => respell(item, dice));
    return isSet && dice.below(4) === 1 ? [...all, ...all.slice(0, 1)] : all;
  };
  return {
    meaning: fc.shuffledSubarray([...items], { minLength: 1, maxLength: Math.min(4, items.length) }),
    stored: (meaning, dice) => spelled(meaning, dice).join(dice.pick(...separators)),
    declared: (meaning, dice) => dice.pick<DeclaredValue>(spelled(meaning, dice), spelled(meaning, dice).join(dice.pick(...separators))),
  };
}

/** A property string: sub-key to value. */
export type Properties = Readonly<Record<string, string>>;

export interface PropertyOptions {
  readonly subKeys: Readonly<Record<string, Leaf>>;
  /** The sub-key whose name may be left out. */
  readonly defaultKey?: string;
  readonly required: readonly string[];
  /** Second names of sub-keys. */
  readonly aliases?: Readonly<Record<string, readonly string[]>>;
  /** What no two sub-keys may be together, mended. */
  readonly mend?: (properties: Properties) => Properties;
  /** Sub-keys that a declaration may leave out whatever they are: hardware addresses. */
  readonly adopted?: readonly string[];
  /** Rows 8, 27 and 36: sub-keys that mean the same absent as with this value. */
  readonly defaults?: Properties;
}

/** The text "key=value,key=value". */
function printed(properties: Properties, options: PropertyOptions, dice: Dice): string {
  const { subKeys, defaultKey, aliases = {} } = options;
  const parts = Object.entries(properties).map(([key, meaning]) => {
    const value = subKeys[key]?.stored(meaning, dice) ?? meaning;
    // Row 3: without its name Proxmox reads no word as a boolean.
    if (key === defaultKey && dice.below(4) !== 1) return subKeys[key] === FLAG ? meaning : value;
    return `${dice.pick(key, ...(aliases[key] ?? []))}=${value}`;
  });
  return dice.shuffled(parts).join(",");
}

function asMap(properties: Properties, options: PropertyOptions, dice: Dice): DeclaredMap {
  const { subKeys, aliases = {} } = options;
  const entries = dice.shuffled(Object.entries(properties)).map(([key, meaning]) => {
    return [dice.pick(key, ...(aliases[key] ?? [])), subKeys[key]?.declared(meaning, dice) ?? meaning] as const;
  });
  return Object.fromEntries(entries);
}

function someOf(properties: Properties, dice: Dice): Properties {
  const entries = dice.shuffled(Object.entries(properties));
  return Object.fromEntries(entries.slice(0, 1 + dice.below(entries.length)));
}

export function propertyShape(options: PropertyOptions): Shape<Properties> {
  const { subKeys, required, mend = (properties) => properties, adopted = [], defaults = {} } = options;
  const optional = Object.entries(subKeys).filter(([key]) => !required.includes(key)).map(([key, leaf]) => fc.tuple(fc.constant(key), leaf.meaning));
  const needed = fc.record(Object.fromEntries(required.flatMap((key) => { const leaf = subKeys[key]; return leaf === undefined ? [] : [[key, leaf.meaning]]; })));
  // A property string without anything in it is no value.
  const others = optional.length === 0 ? fc.constant([]) : fc.array(fc.oneof(...optional), { minLength: required.length === 0 ? 1 : 0, maxLength: 5 });
  const form = (properties: Properties, dice: Dice): DeclaredValue => (dice.below(3) === 1 ? printed(properties, options, dice) : asMap(properties, options, dice));
  const withDefaults = (some: Properties, all: Properties, dice: Dice): Properties => ({ ...Object.fromEntries(Object.entries(defaults).filter(([key]) => !(key in all) && dice.below(4) === 1)), ...some });
  return {
    meaning: fc.tuple(needed, others).map(([first, more]) => mend({ ...first, ...Object.fromEntries(more) })),
    stored: (meaning, dice) => printed(meaning, options, dice),
    declared: (meaning, dice) => {
      const kept = Object.fromEntries(Object.entries(meaning).filter(([key]) => !adopted.includes(key) || dice.below(3) === 1));
      return form(withDefaults(Object.keys(kept).length === 0 ? meaning : kept, meaning, dice), dice);
    },
    part: (meaning, dice) => form(withDefaults(someOf(meaning, dice), meaning, dice), dice),
    without: (meaning, dice) => {
      const unwanted = someOf(meaning, dice);
      return Object.fromEntries(Object.keys(unwanted).map((key) => [key, null]));
    },
  };
}

/** How what is declared of a key stands to what the guest has. */
export interface FieldSituation {
  /** As the guest has it; undefined: not at all. */
  readonly found: string | undefined;
  /** Another value, for where one is pending over another. */
  readonly other: string;
  readonly declared: DeclaredValue | undefined;
  /** By docs/proxmox.md nothing differs: no plan may ever change it. */
  readonly isEqual: boolean;
}

const RELATIONS = ["found", "declared", "equal", "equal", "part", "changed", "changed", "partly changed", "without", "null", "null over nothing"] as const;
const STYLE_MAX = 0xffff;

/** Every way in which a key of this shape can be found and declared. */
export function situationsOf<M>(shape: Shape<M>): fc.Arbitrary<FieldSituation> {
  return fc.record({ relation: fc.constantFrom(...RELATIONS), there: shape.meaning, wanted: shape.meaning, style: fc.nat(STYLE_MAX), declaredStyle: fc.nat(STYLE_MAX) }).map(
    ({ relation, there, wanted, style, declaredStyle }) => {
      const dice = new Dice(declaredStyle);
      const found = shape.stored(there, new Dice(style));
      const other = shape.stored(wanted, new Dice(style));
      switch (relation) {
        case "found":
          return { found, other, declared: undefined, isEqual: false };
        case "declared":
          return { found: undefined, other, declared: shape.declared(wanted, dice), isEqual: false };
        case "equal":
          return { found, other, declared: shape.declared(there, dice), isEqual: true };
        case "part":
          return { found, other, declared: (shape.part ?? shape.declared)(there, dice), isEqual: true };
        case "changed":
          return { found, other, declared: shape.declared(wanted, dice), isEqual: false };
        case "partly changed":
          return { found, other, declared: (shape.part ?? shape.declared)(wanted, dice), isEqual: false };
        case "without":
          return { found, other, declared: shape.without?.(there, dice) ?? null, isEqual: false };
        case "null":
          return { found, other, declared: null, isEqual: false };
        case "null over nothing":
          return { found: undefined, other, declared: null, isEqual: true };
      }
    },
  );
}
