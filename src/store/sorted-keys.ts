const chunkLength = 512;

/** A set of strings in order of UTF-16 code units. Adding and removing cost O(chunks + chunk length). */
export class SortedKeys {
  /** No chunk is empty; every key of a chunk is below every key of the next. */
  readonly #chunks: string[][] = [];

  /** `key` must not be in the set. */
  add(key: string): void {
    const index = Math.max(0, this.#chunkAt(key));
    const chunk = this.#chunks[index];
    if (chunk === undefined) {
      this.#chunks.push([key]);
      return;
    }
    chunk.splice(firstAtOrAfter(chunk, key), 0, key);
    if (chunk.length > chunkLength) {
      this.#chunks.splice(index + 1, 0, chunk.splice(chunkLength / 2));
    }
  }

  /** `key` must be in the set. */
  remove(key: string): void {
    const index = this.#chunkAt(key);
    const chunk = this.#chunks[index] ?? [];
    chunk.splice(firstAtOrAfter(chunk, key), 1);
    if (chunk.length === 0) this.#chunks.splice(index, 1);
  }

  /** Keys at or after `from`, in order. The set must not change meanwhile. */
  *from(from: string): Generator<string, void> {
    const first = Math.max(0, this.#chunkAt(from));
    for (let index = first; index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index] ?? [];
      const start = index === first ? firstAtOrAfter(chunk, from) : 0;
      for (let at = start; at < chunk.length; at++) yield chunk[at]!;
    }
  }

  /** Index of the last chunk that begins at or before the key; -1 when none does. */
  #chunkAt(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#chunks[middle]![0]! <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

function firstAtOrAfter(chunk: readonly string[], key: string): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (chunk[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
