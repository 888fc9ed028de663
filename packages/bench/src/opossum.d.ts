// opossum comes without types; this is what the bench uses of it.
declare module "opossum" {
  interface Options {
    /** In ms; false: none. */
    readonly timeout?: number | false;
    readonly resetTimeout?: number;
    readonly volumeThreshold?: number;
  }

  class CircuitBreaker<Arguments extends readonly unknown[], Result> {
    constructor(action: (...args: Arguments) => Promise<Result>, options?: Options);
    fire(...args: Arguments): Promise<Result>;
    /** Ends its timers. */
    shutdown(): void;
  }

  export = CircuitBreaker;
}
