/**
 * Where the lines of a text begin. Counted here, since the library's own counter misses line ends in
 * places that it found wrong, and every problem after that would name a line too far up.
 */
export class Lines {
  readonly #text: string;
  #starts: readonly number[] | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** Line and column, counting from 1, of an offset; one outside of the text counts as its nearest end. */
  at(offset: number): { readonly line: number; readonly column: number } {
    const inside = Math.min(Math.max(0, offset), this.#text.length);
    this.#starts ??= startsOf(this.#text);
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= inside) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: inside - (this.#starts[low] ?? 0) + 1 };
  }
}

function startsOf(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}
