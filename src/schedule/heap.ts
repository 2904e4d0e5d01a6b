/** What a heap holds: it remembers its own place, so that it can be taken out from anywhere. */
export interface HeapItem {
  /** Index in the heap it is in; -1 when it is in none. Only the heap writes it. */
  heapIndex: number;
}

/**
 * A binary heap that gives the first of its items, and lets any item go: each in O(log n). An item is
 * in one heap at most.
 */
export class IndexedHeap<T extends HeapItem> {
  readonly #items: T[] = [];
  readonly #isBefore: (left: T, right: T) => boolean;

  /** @param isBefore a strict order; must not change for items that are in the heap */
  constructor(isBefore: (left: T, right: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The first item, which stays; undefined when there is none. */
  first(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    if (item.heapIndex !== -1) throw new Error("expected an item that is in no heap");
    item.heapIndex = this.#items.length;
    this.#items.push(item);
    this.#rise(item);
  }

  /** Takes the first item. */
  pop(): T | undefined {
    const first = this.#items[0];
    if (first !== undefined) this.remove(first);
    return first;
  }

  /** Takes an item out, wherever it is. */
  remove(item: T): void {
    const index = item.heapIndex;
    if (this.#items[index] !== item) throw new Error("expected an item that is in this heap");
    item.heapIndex = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#put(last, index);
    this.#rise(last);
    this.#sink(last);
  }

  /** All items, in no order. */
  items(): readonly T[] {
    return this.#items;
  }

  /** Takes everything out. */
  clear(): void {
    for (const item of this.#items) item.heapIndex = -1;
    this.#items.length = 0;
  }

  #rise(item: T): void {
    for (;;) {
      const parent = this.#items[(item.heapIndex - 1) >> 1];
      if (item.heapIndex === 0 || parent === undefined || !this.#isBefore(item, parent)) return;
      this.#swap(item, parent);
    }
  }

  #sink(item: T): void {
    for (;;) {
      const left = this.#items[2 * item.heapIndex + 1];
      const right = this.#items[2 * item.heapIndex + 2];
      const child = left !== undefined && right !== undefined && this.#isBefore(right, left) ? right : left;
      if (child === undefined || !this.#isBefore(child, item)) return;
      this.#swap(child, item);
    }
  }

  #swap(left: T, right: T): void {
    const index = left.heapIndex;
    this.#put(left, right.heapIndex);
    this.#put(right, index);
  }

  #put(item: T, index: number): void {
    item.heapIndex = index;
    this.#items[index] = item;
  }
}
