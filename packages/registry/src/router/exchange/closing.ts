import type { CallerEvents } from "./caller-stream.ts";
import type { ExchangeEnd } from "./exchange.ts";

/** The end of an exchange, told once. */
export interface Closing {
  /** Undefined: not yet. */
  readonly end: ExchangeEnd | undefined;
  /** Tells of the end, if it is the first; and in any case who carries the exchange, if anybody does. */
  settle(end: ExchangeEnd, carrying: CallerEvents | undefined): void;
  /** Calls the listener at the end, or at once. */
  listen(listener: (end: ExchangeEnd) => void): void;
}

export function createClosing(): Closing {
  let end: ExchangeEnd | undefined;
  let listeners: ((end: ExchangeEnd) => void)[] | undefined;
  return {
    get end() {
      return end;
    },
    settle(first, carrying) {
      end ??= first;
      carrying?.onClosed(end);
      const told = listeners;
      listeners = undefined;
      for (const tell of told ?? []) tell(end);
    },
    listen(listener) {
      if (end !== undefined) listener(end);
      else if (listeners === undefined) listeners = [listener];
      else listeners.push(listener);
    },
  };
}
