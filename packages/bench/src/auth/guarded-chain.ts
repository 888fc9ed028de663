import assert from "node:assert/strict";
import { createContextValues, type Interceptor } from "@connectrpc/connect";
import { type AuthContext, authKey, type Peer, peerKey } from "@cpg/auth";
import { applyInterceptors, noOpCall, type Request, request, response } from "../interceptors/no-op-call.ts";
import type { TimedCase, Variant } from "../table.ts";

export const chainMeasure = "no-op unary call of somebody";

export interface GuardedChain {
  readonly interceptors: readonly Interceptor[];
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** The connection that calls arrive on. Default: the server does not tell. */
  readonly peer?: Peer | undefined;
  /** Whom handlers have to see. Default: nobody. */
  readonly identity?: string | undefined;
}

/** Interceptors around a call that does nothing. Each call has context values of its own, as on a server. */
export function guardedChainVariant(name: string, create: () => GuardedChain | Promise<GuardedChain>): Variant {
  return {
    name,
    async setup() {
      return { cases: new Map([[chainMeasure, chainCase(await create())]]), close: () => Promise.resolve() };
    },
  };
}

function chainCase({ interceptors, headers, peer, identity }: GuardedChain): TimedCase {
  const own = new Headers(headers);
  const good = new Headers([...request.header, ...own]);
  const bad = new Headers(good);
  for (const [name, value] of own) bad.set(name, `${value}x`);
  const arrive = (header = good): Request => ({
    ...request,
    stream: false,
    header,
    contextValues: createContextValues().set(peerKey, peer),
  });
  return {
    kind: "timed",
    async check() {
      const seen: (AuthContext | undefined)[] = [];
      const observed = applyInterceptors((passed) => {
        seen.push(passed.contextValues.get(authKey));
        return noOpCall(passed);
      }, interceptors);
      // The first time, and when it is known.
      for (let call = 0; call < 2; call++) {
        assert.equal(await observed(arrive()), response, "another response came back");
      }
      assert.deepEqual(
        seen.map((auth) => auth?.identity),
        [identity, identity],
        "handlers would see somebody else",
      );
      if (headers !== undefined) {
        await assert.rejects(async () => await observed(arrive(bad)), "a wrong credential came through");
      }
    },
    async run(calls) {
      let answers = 0;
      for (let call = 0; call < calls; call++) {
        const next = applyInterceptors(noOpCall, interceptors);
        if ((await next(arrive())) === response) answers++;
      }
      assert.equal(answers, calls, "another response came back");
    },
  };
}
