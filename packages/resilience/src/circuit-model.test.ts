import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deferredCalls, unaryRequest } from "../test/fixtures/deferred-calls.ts";
import { createCircuitBreaker } from "./circuit-breaker.ts";
import type { CircuitConfig, CircuitKind } from "./circuit-state.ts";

const unavailable = new ConnectError("down", Code.Unavailable);
const notMine = new ConnectError("slow down", Code.ResourceExhausted);
const key = "http://test";

/** What happened to a call, as the model sees it. */
interface ModelCall {
  readonly era: number;
  readonly startedMs: number;
  ended: boolean;
  /** Let in while half-open, and neither ended nor given up. */
  probing: boolean;
}

const anySettings = fc.record({
  failureThreshold: fc.integer({ min: 1, max: 3 }),
  openFactor: fc.constantFrom(1, 2),
  permittedProbes: fc.integer({ min: 1, max: 3 }),
  successThreshold: fc.integer({ min: 1, max: 3 }),
});
const settings = { openMs: 100, openMaxMs: 300, probeMaxAgeMs: 150 };

/** A breaker told in the plainest way: lists of everything that happened, looked through again and again. */
function createModel(config: Omit<CircuitConfig, "failureRate" | "slowCallRate" | "minimumCalls">) {
  let kind: CircuitKind = "closed";
  let era = 0;
  let nowMs = 0;
  let openedAtMs = 0;
  let openings = 0;
  /** Ends that count in this era. */
  let ends: boolean[] = [];
  const calls: ModelCall[] = [];

  const change = (to: CircuitKind) => {
    kind = to;
    era += 1;
    ends = [];
  };
  const openForMs = () => Math.min(config.openMaxMs, config.openMs * config.openFactor ** (openings - 1));
  const probing = () => calls.filter((call) => call.era === era && call.probing);

  return {
    calls,
    probing,
    kind: () => kind,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** A call arrives. If it gets in, it is among `calls`. */
    begin(): void {
      if (kind === "forced-open") return;
      if (kind === "open") {
        if (nowMs - openedAtMs < openForMs()) return;
        change("half-open");
      }
      if (kind === "half-open") {
        for (const probe of probing()) probe.probing = nowMs - probe.startedMs < config.probeMaxAgeMs;
        if (probing().length >= config.permittedProbes) return;
      }
      calls.push({ era, startedMs: nowMs, ended: false, probing: kind === "half-open" });
    },
    end(call: ModelCall, verdict: "success" | "failure" | "ignored") {
      const counts = call.era === era && (kind === "closed" || call.probing);
      call.ended = true;
      call.probing = false;
      if (!counts || verdict === "ignored") return;
      ends.push(verdict === "success");
      const inARow = ends.length - 1 - ends.lastIndexOf(true);
      if (kind === "closed" ? inARow >= config.failureThreshold : verdict === "failure") {
        openings += 1;
        openedAtMs = nowMs;
        change("open");
      } else if (kind === "half-open" && ends.length >= config.successThreshold) {
        openings = 0;
        change("closed");
      }
    },
    force: (to: CircuitKind) => {
      if (kind !== to) change(to);
      openings = 0;
    },
    reset: () => {
      change("closed");
      openings = 0;
    },
  };
}

const anyStep = fc.record({
  kind: fc.constantFrom("call", "call", "call", "succeed", "succeed", "fail", "fail", "ignore", "time", "hand"),
  pick: fc.nat(100),
});

describe("a breaker and its model", () => {
  it("let in the same calls and are in the same state, whatever happens in which order", async () => {
    const reached = new Set<CircuitKind>();
    await fc.assert(
      fc.asyncProperty(anySettings, fc.array(anyStep, { minLength: 20, maxLength: 60 }), async (chosen, steps) => {
        const config = { ...settings, ...chosen };
        let nowMs = 0;
        const clock = { now: () => nowMs, monotonic: () => nowMs, sleep: async () => {} };
        const breaker = createCircuitBreaker({ ...config, clock });
        const model = createModel(config);
        const { calls, run, at } = deferredCalls(breaker.interceptor);
        for (const { kind, pick } of steps) {
          const underWay = model.calls.filter(({ ended }) => !ended);
          const chosenCall = underWay[pick % Math.max(1, underWay.length)];
          if (kind === "call") {
            run(unaryRequest()).catch(() => {});
            model.begin();
          } else if (kind === "time") {
            nowMs += pick;
            model.pass(pick);
          } else if (kind === "hand") {
            if (pick < 10) {
              breaker.forceOpen(key);
              model.force("forced-open");
            } else if (pick < 20) {
              breaker.forceClosed(key);
              model.force("forced-closed");
            } else if (pick < 50) {
              breaker.reset(key);
              model.reset();
            }
          } else if (chosenCall !== undefined) {
            const call = at(model.calls.indexOf(chosenCall));
            if (kind === "succeed") call.succeed();
            else call.fail(kind === "fail" ? unavailable : notMine);
            for (let turn = 0; turn < 5; turn++) await Promise.resolve();
            model.end(chosenCall, kind === "succeed" ? "success" : kind === "fail" ? "failure" : "ignored");
          }
          const { state, probes } = breaker.snapshot(key);
          expect(state).toBe(model.kind());
          expect(calls.length).toBe(model.calls.length);
          expect(probes).toBe(state === "half-open" ? model.probing().length : 0);
          expect(probes).toBeLessThanOrEqual(config.permittedProbes);
          reached.add(state);
        }
      }),
      { numRuns: 1_000 },
    );
    expect([...reached].toSorted()).toEqual(["closed", "forced-closed", "forced-open", "half-open", "open"]);
  });
});
