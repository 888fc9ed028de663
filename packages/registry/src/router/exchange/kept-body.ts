/** Bytes of a body that are kept, so that a request that reached nobody can be sent to another provider. */
const MAX_KEPT_BYTES = 64 * 1024;

const none: readonly Buffer[] = [];

/** The beginning of a body, kept while all of it fits. */
export class KeptBody {
  /** All that came is here. */
  whole = true;
  #chunks: Buffer[] | undefined;
  #bytes = 0;

  get chunks(): readonly Buffer[] {
    return this.#chunks ?? none;
  }

  add(chunk: Buffer): void {
    if (!this.whole) return;
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_KEPT_BYTES) this.forget();
    else if (this.#chunks === undefined) this.#chunks = [chunk];
    else this.#chunks.push(chunk);
  }

  /** Keeps nothing from now on. */
  forget(): void {
    this.whole = false;
    this.#chunks = undefined;
  }
}
