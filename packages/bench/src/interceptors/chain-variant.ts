import assert from "node:assert/strict";
import type { Interceptor } from "@connectrpc/connect";
import type { TimedCase, Variant } from "../table.ts";
import { applyInterceptors, noOpCall, request, response } from "./no-op-call.ts";

export const chainMeasure = "no-op unary call";

/** What a variant adds to a call, and how that is ended. */
export interface Chain {
  readonly interceptors: readonly Interceptor[];
  close?(): void;
}

/** A chain of interceptors around a call that does nothing. */
export function chainVariant(name: string, create: () => Chain): Variant {
  return {
    name,
    async setup() {
      const { interceptors, close } = create();
      return {
        cases: new Map([[chainMeasure, chainCase(interceptors)]]),
        close: async () => close?.(),
      };
    },
  };
}

function chainCase(interceptors: readonly Interceptor[]): TimedCase {
  return {
    kind: "timed",
    async check() {
      let reached = 0;
      const header = [...request.header];
      const counted = applyInterceptors((passed) => {
        reached++;
        return noOpCall(passed);
      }, interceptors);
      assert.equal(await counted(request), response, "another response came back");
      assert.equal(reached, 1, "the call was made another number of times");
      assert.deepEqual([...request.header], header, "the next call would find other headers");
    },
    async run(calls) {
      let answers = 0;
      for (let call = 0; call < calls; call++) {
        const next = applyInterceptors(noOpCall, interceptors);
        if ((await next(request)) === response) answers++;
      }
      assert.equal(answers, calls, "another response came back");
    },
  };
}
