import type { EndpointDiscovery } from "@cpg/core";

/** Endpoints that a test sets. */
export class FakeDiscovery implements EndpointDiscovery {
  #endpoints: readonly string[];
  #error: Error | undefined;
  /** Questions so far. */
  asked = 0;
  #changed = Promise.withResolvers<void>();
  /** Watches under way. */
  watching = 0;
  /** Runs after a reader took in the endpoints. */
  onTaken: () => void = () => {};

  constructor(endpoints: readonly string[]) {
    this.#endpoints = endpoints;
  }

  set(endpoints: readonly string[]): void {
    this.#endpoints = endpoints;
    this.#error = undefined;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  fail(error: Error): void {
    this.#error = error;
  }

  async discover(): Promise<readonly string[]> {
    this.asked++;
    if (this.#error !== undefined) throw this.#error;
    return this.#endpoints;
  }

  async *watch({ signal }: { readonly signal?: AbortSignal | undefined } = {}): AsyncGenerator<readonly string[]> {
    this.watching++;
    const ended = Promise.withResolvers<void>();
    signal?.addEventListener("abort", () => ended.resolve(), { once: true });
    try {
      while (signal?.aborted !== true) {
        const changed = this.#changed.promise;
        yield this.#endpoints;
        this.onTaken();
        await Promise.race([changed, ended.promise]);
      }
    } finally {
      this.watching--;
    }
  }
}
