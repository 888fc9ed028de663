import { describe, expect, it } from "vitest";
import {
  admit,
  afterCall,
  type CallEnd,
  type CircuitConfig,
  type CircuitState,
  closedCircuit,
} from "./circuit-state.ts";

const config: CircuitConfig = {
  failureThreshold: 3,
  failureRate: 0.5,
  slowCallRate: 0.8,
  minimumCalls: 4,
  openMs: 1_000,
  openFactor: 2,
  openMaxMs: 3_000,
  permittedProbes: 2,
  successThreshold: 2,
  probeMaxAgeMs: 500,
};

const closed = (failures: number): CircuitState => ({ kind: "closed", failures });
const open = (untilMs: number, opened = 1): CircuitState => ({ kind: "open", untilMs, opened });
const forcedOpen: CircuitState = { kind: "forced-open" };
const forcedClosed: CircuitState = { kind: "forced-closed" };

/** Half-open, with probes under way, each as [number, startedMs]. */
function halfOpen(probes: [number, number][], { started = 2, successes = 0, opened = 1 } = {}): CircuitState {
  const under = probes.map(([number, startedMs]) => ({ number, startedMs }));
  return { kind: "half-open", probes: under, started, successes, opened };
}

describe("admit", () => {
  it.each([
    { title: "closed: let in", from: closed(2), nowMs: 0, result: { state: closed(2), admitted: true } },
    { title: "forced-closed: let in", from: forcedClosed, nowMs: 0, result: { state: forcedClosed, admitted: true } },
    {
      title: "open, before its time: rejected until then",
      from: open(1_000),
      nowMs: 999,
      result: { state: open(1_000), admitted: false, retryAfterMs: 1 },
    },
    {
      title: "open, at its time: half-open, the first probe",
      from: open(1_000, 3),
      nowMs: 1_000,
      result: { state: halfOpen([[0, 1_000]], { started: 1, opened: 3 }), admitted: true, probe: 0 },
    },
    {
      title: "half-open, a free place: a probe more",
      from: halfOpen([[1, 100]], { successes: 1 }),
      nowMs: 200,
      result: {
        state: halfOpen(
          [
            [1, 100],
            [2, 200],
          ],
          { started: 3, successes: 1 },
        ),
        admitted: true,
        probe: 2,
      },
    },
    {
      title: "half-open, no place: rejected for a tenth of openMs",
      from: halfOpen([
        [0, 100],
        [1, 100],
      ]),
      nowMs: 200,
      result: {
        state: halfOpen([
          [0, 100],
          [1, 100],
        ]),
        admitted: false,
        retryAfterMs: 100,
      },
    },
    {
      title: "half-open, the oldest probe about to be too old: rejected until then",
      from: halfOpen([
        [0, 100],
        [1, 300],
      ]),
      nowMs: 599,
      result: {
        state: halfOpen([
          [0, 100],
          [1, 300],
        ]),
        admitted: false,
        retryAfterMs: 1,
      },
    },
    {
      title: "half-open, a probe too old: given up, its place taken",
      from: halfOpen([
        [0, 100],
        [1, 300],
      ]),
      nowMs: 600,
      result: {
        state: halfOpen(
          [
            [1, 300],
            [2, 600],
          ],
          { started: 3 },
        ),
        admitted: true,
        probe: 2,
      },
    },
    {
      title: "forced-open: rejected for openMs",
      from: forcedOpen,
      nowMs: 0,
      result: { state: forcedOpen, admitted: false, retryAfterMs: 1_000 },
    },
  ])("$title", ({ from, nowMs, result }) => {
    expect(admit(from, nowMs, config)).toEqual(result);
  });
});

const success = (probe?: number): CallEnd => ({ verdict: "success", probe });
const failure = (probe?: number): CallEnd => ({ verdict: "failure", probe });
const ignored = (probe?: number): CallEnd => ({ verdict: "ignored", probe });
const with3 = (verdict: CallEnd["verdict"], failures: number, slowCalls: number, calls = 4): CallEnd => ({
  verdict,
  counts: { calls, failures, slowCalls },
});
const twoProbes = halfOpen([
  [0, 0],
  [1, 0],
]);

describe("afterCall", () => {
  it.each([
    { title: "closed, ignored: same", from: closed(2), end: ignored(), to: closed(2) },
    { title: "closed, ignored: same, whatever the rates", from: closed(1), end: with3("ignored", 4, 4), to: closed(1) },
    { title: "closed, the third failure in a row: open", from: closed(2), end: failure(), to: open(6_000) },
    { title: "closed, the second failure: one more", from: closed(1), end: failure(), to: closed(2) },
    { title: "closed, success: no failures", from: closed(2), end: success(), to: closed(0) },
    { title: "closed, failure rate reached: open", from: closed(0), end: with3("failure", 2, 0), to: open(6_000) },
    { title: "closed, rate reached by a success: open", from: closed(2), end: with3("success", 2, 0), to: open(6_000) },
    { title: "closed, failure rate just not reached", from: closed(0), end: with3("failure", 2, 0, 5), to: closed(1) },
    { title: "closed, too few calls for a rate", from: closed(0), end: with3("failure", 3, 3, 3), to: closed(1) },
    { title: "closed, slow call rate reached: open", from: closed(0), end: with3("success", 0, 4, 5), to: open(6_000) },
    { title: "closed, slow call rate not reached", from: closed(0), end: with3("success", 0, 3), to: closed(0) },
    { title: "half-open, no probe: same", from: twoProbes, end: failure(), to: twoProbes },
    { title: "half-open, a probe given up before: same", from: twoProbes, end: failure(7), to: twoProbes },
    { title: "half-open, ignored: a free place", from: twoProbes, end: ignored(0), to: halfOpen([[1, 0]]) },
    { title: "half-open, success", from: twoProbes, end: success(1), to: halfOpen([[0, 0]], { successes: 1 }) },
    {
      title: "half-open, the last success needed: closed",
      from: halfOpen([[1, 0]], { successes: 1 }),
      end: success(1),
      to: closed(0),
    },
    { title: "half-open, failure: open for longer", from: twoProbes, end: failure(0), to: open(7_000, 2) },
    {
      title: "half-open, failure again: open for no longer than openMaxMs",
      from: halfOpen([[0, 0]], { opened: 2 }),
      end: failure(0),
      to: open(8_000, 3),
    },
    {
      title: "half-open, failure after very many",
      from: halfOpen([[0, 0]], { opened: 1e6 }),
      end: failure(0),
      to: open(8_000, 1e6 + 1),
    },
    { title: "open, a late failure: same", from: open(1), end: failure(), to: open(1) },
    { title: "open, a late success: same", from: open(1), end: success(), to: open(1) },
    { title: "forced-open: same", from: forcedOpen, end: success(0), to: forcedOpen },
    { title: "forced-closed: same", from: forcedClosed, end: failure(), to: forcedClosed },
  ])("$title", ({ from, end, to }) => {
    expect(afterCall(from, end, 5_000, config)).toEqual(to);
  });

  it("makes no new state when nothing changes", () => {
    expect(afterCall(closedCircuit, success(), 0, config)).toBe(closedCircuit);
    expect(afterCall(twoProbes, failure(9), 0, config)).toBe(twoProbes);
  });
});
