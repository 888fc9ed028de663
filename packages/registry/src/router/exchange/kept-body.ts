/** Bytes of a body that are kept, so that a request that reached nobody can be sent to another provider. */
export const MAX_KEPT_BYTES = 64 * 1024;

/** The beginning of a body, kept while all of it fits. */
export interface KeptBody {
  /** All that came is here. */
  readonly whole: boolean;
  readonly chunks: readonly Buffer[];
  add(chunk: Buffer): void;
  /** Keeps nothing from now on. */
  forget(): void;
}

const none: readonly Buffer[] = [];

export function createKeptBody(): KeptBody {
  let chunks: Buffer[] | undefined;
  let bytes = 0;
  let whole = true;
  return {
    get whole() {
      return whole;
    },
    get chunks() {
      return chunks ?? none;
    },
    add(chunk) {
      if (!whole) return;
      bytes += chunk.length;
      if (bytes > MAX_KEPT_BYTES) this.forget();
      else if (chunks === undefined) chunks = [chunk];
      else chunks.push(chunk);
    },
    forget() {
      whole = false;
      chunks = undefined;
    },
  };
}
