/** More members of an Accept header than this are not looked at: no honest client sends them. */
const MAX_ACCEPT_MEMBERS = 32;

/**
 * Picks the media type a client wants (RFC 9110 §12.5.1): the offered one with the highest weight, on
 * equal weight the one offered first. Without a header, or when nothing fits, the first offer: a
 * probe is better served by an unexpected type than by an error.
 *
 * `offered`: plain types such as "application/json", at least one.
 */
export function preferredType<T extends string>(accept: string | undefined, offered: readonly [T, ...T[]]): T {
  const ranges = (accept ?? "").split(",", MAX_ACCEPT_MEMBERS).map(parseRange);
  let best: T = offered[0];
  let bestWeight = 0;
  for (const type of offered) {
    const weight = weightOf(type, ranges);
    if (weight > bestWeight) [best, bestWeight] = [type, weight];
  }
  return best;
}

interface MediaRange {
  readonly range: string;
  readonly weight: number;
}

function parseRange(member: string): MediaRange {
  const [range = "", ...parameters] = member.split(";").map((part) => part.trim().toLowerCase());
  const quality = parameters.find((parameter) => parameter.startsWith("q="));
  const weight = quality === undefined ? 1 : Number(quality.slice(2));
  return { range, weight: weight >= 0 && weight <= 1 ? weight : 0 };
}

/** The most specific range decides: an exact type before type/star before star/star. */
function weightOf(type: string, ranges: readonly MediaRange[]): number {
  const candidates = [type, `${type.slice(0, type.indexOf("/"))}/*`, "*/*"];
  for (const candidate of candidates) {
    const found = ranges.find(({ range }) => range === candidate);
    if (found !== undefined) return found.weight;
  }
  return 0;
}
