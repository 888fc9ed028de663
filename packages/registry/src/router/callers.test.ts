import { Code, ConnectError } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import { readRetryDelay } from "@cpg/resilience";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createCallers } from "./callers.ts";

/** An identity as far as callers look at it. */
function createCaller(runtimeId: string) {
  const listeners = new Set<(error: ConnectError) => void>();
  const identity: RuntimeIdentity = {
    id: runtimeId,
    source: "runtime-identity",
    runtimeId,
    selfId: runtimeId,
    selfVersion: "",
    issuedAtMs: 0,
    expiresAtMs: 0,
    peer: undefined,
    declares: undefined,
    ended: new AbortController().signal,
    onEnd(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  return {
    identity,
    listeners,
    end: (error: ConnectError): void => {
      for (const listener of [...listeners]) listener(error);
      listeners.clear();
    },
  };
}

const ended = new ConnectError("revoked", Code.Unauthenticated);

describe("callers", () => {
  it("have so many calls open, each, and then are refused with a delay", () => {
    const callers = createCallers({ maxCallsPerCaller: 2, maxCalls: 100 });
    const one = createCaller("one-1");
    const other = createCaller("other-1");
    const end = callers.begin(one.identity, () => {});
    callers.begin(one.identity, () => {});
    let refusal: unknown;
    try {
      callers.begin(one.identity, () => {});
    } catch (error) {
      refusal = error;
    }
    expect(ConnectError.from(refusal).code).toBe(Code.ResourceExhausted);
    expect(readRetryDelay(ConnectError.from(refusal))).toEqual({ kind: "after", ms: 1_000 });
    callers.begin(other.identity, () => {});
    end();
    end();
    callers.begin(one.identity, () => {});
    expect(callers.inFlight).toBe(3);
  });

  it("have so many calls open together", () => {
    const callers = createCallers({ maxCallsPerCaller: 2, maxCalls: 3 });
    const all = ["a-1", "b-1"].map((id) => createCaller(id).identity);
    for (const identity of [all[0], all[0], all[1]]) if (identity) callers.begin(identity, () => {});
    expect(() => all[1] && callers.begin(all[1], () => {})).toThrow("3 routed calls open");
  });

  it("lose their calls when their identity ends, and only theirs", () => {
    const callers = createCallers({ maxCallsPerCaller: 10, maxCalls: 10 });
    const one = createCaller("one-1");
    const cut: unknown[] = [];
    const ends = ["a", "b"].map((name) => callers.begin(one.identity, (error) => cut.push(name, error)));
    const closed = callers.begin(one.identity, () => cut.push("closed"));
    callers.begin(createCaller("other-1").identity, () => cut.push("other"));
    closed();
    one.end(ended);
    expect(cut).toEqual(["a", ended, "b", ended]);
    for (const end of ends) end();
    expect(callers.inFlight).toBe(1);
  });

  it("that one cut makes end in turn are each cut once", () => {
    const callers = createCallers({ maxCallsPerCaller: 10, maxCalls: 10 });
    const one = createCaller("one-1");
    let cuts = 0;
    const ends: (() => void)[] = [];
    for (let call = 0; call < 3; call++) {
      ends.push(
        callers.begin(one.identity, () => {
          cuts++;
          for (const end of ends) end();
        }),
      );
    }
    one.end(ended);
    expect({ cuts, inFlight: callers.inFlight }).toEqual({ cuts: 3, inFlight: 0 });
  });

  it("count right and leave nothing behind, whatever the order", () => {
    const step = fc.record({ caller: fc.nat(2), action: fc.constantFrom("begin", "end", "revoke") });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const callers = createCallers({ maxCallsPerCaller: 4, maxCalls: 9 });
        const all = ["a-1", "b-1", "c-1"].map(createCaller);
        const open = all.map(() => new Map<object, () => void>());
        for (const { caller, action } of steps) {
          const who = all[caller];
          const calls = open[caller];
          if (who === undefined || calls === undefined) continue;
          const isFull = calls.size >= 4 || open.reduce((sum, { size }) => sum + size, 0) >= 9;
          const key = {};
          const steps: Record<string, () => void> = {
            revoke: () => who.end(ended),
            end() {
              const [[first, end] = []] = calls;
              if (first) calls.delete(first);
              end?.();
            },
            begin() {
              const end = callers.begin(who.identity, () => {
                calls.delete(key);
                end();
              });
              calls.set(key, end);
            },
          };
          let refused = false;
          try {
            steps[action]?.();
          } catch {
            refused = true;
          }
          expect(refused).toBe(action === "begin" && isFull);
          expect(callers.inFlight).toBe(open.reduce((sum, { size }) => sum + size, 0));
          for (const [index, { listeners }] of all.entries()) {
            expect(listeners.size).toBe((open[index]?.size ?? 0) > 0 ? 1 : 0);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
