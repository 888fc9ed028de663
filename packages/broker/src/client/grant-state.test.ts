import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type GrantEvent, type GrantState, renewAfterMs, transition } from "./grant-state.ts";

const error = new ConnectError("no", Code.PermissionDenied);
const term = { renewAtMs: 50, expiresAtMs: 100 };
const later = { renewAtMs: 120, expiresAtMs: 200 };
const states = {
  none: { kind: "none" },
  asking: { kind: "asking" },
  held: { kind: "held", grant: "g", ...term },
  renewing: { kind: "renewing", grant: "g", ...term },
  denied: { kind: "denied", error, untilMs: 70 },
  closed: { kind: "closed" },
} as const satisfies Record<string, GrantState<string>>;
const events = {
  used: { type: "used", nowMs: 60 },
  "used, when all is over": { type: "used", nowMs: 100 },
  granted: { type: "granted", grant: "g", ...term },
  denied: { type: "denied", error, untilMs: 70 },
  failed: { type: "failed" },
  due: { type: "due" },
  renewed: { type: "renewed", ...later },
  "renewal-failed": { type: "renewal-failed", renewAtMs: 75 },
  "renewal-refused": { type: "renewal-refused" },
  unknown: { type: "unknown", grant: "g" },
  "unknown, of another": { type: "unknown", grant: "h" },
  identity: { type: "identity" },
  close: { type: "close" },
} as const satisfies Record<string, GrantEvent<string>>;

/** The table of the docstring; what is not in it changes nothing. */
const table: { [From in keyof typeof states]?: { [On in keyof typeof events]?: GrantState<string> } } = {
  none: { used: states.asking, "used, when all is over": states.asking },
  asking: {
    granted: states.held,
    denied: states.denied,
    failed: states.none,
    identity: states.asking,
  },
  held: {
    due: states.renewing,
    "used, when all is over": states.asking,
    unknown: states.none,
    identity: states.none,
  },
  renewing: {
    "used, when all is over": states.asking,
    unknown: states.none,
    identity: states.none,
    renewed: { ...states.held, ...later },
    "renewal-failed": { ...states.held, renewAtMs: 75 },
    "renewal-refused": states.none,
  },
  denied: { "used, when all is over": states.asking, identity: states.none },
};
const names = Object.keys(states) as (keyof typeof states)[];
const kinds = Object.keys(events) as (keyof typeof events)[];
const rows = names.flatMap((from) => kinds.map((on) => ({ from, on })));

describe("the state of a grant", () => {
  it.each(rows)("$from, $on", ({ from, on }) => {
    const expected = on === "close" ? states.closed : (table[from]?.[on] ?? states[from]);
    expect(transition<string>(states[from], events[on])).toEqual(expected);
  });

  it("is the same object when nothing changes, another when the host is to be asked again", () => {
    expect(transition<string>(states.held, events.used)).toBe(states.held);
    expect(transition<string>(states.asking, events.identity)).not.toBe(states.asking);
  });

  it("never asks a host that said no before the pause is over, whatever happens but a new identity", () => {
    const calm = kinds.filter((name) => name !== "identity" && name !== "used, when all is over");
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...calm)), (happened) => {
        let state: GrantState<string> = states.denied;
        for (const name of happened) {
          state = transition(state, events[name]);
          expect(state.kind).not.toBe("asking");
        }
      }),
    );
  });

  it("is over once it is closed, whatever comes after", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...kinds)), (happened) => {
        const end = happened.reduce<GrantState<string>>(
          (state, name) => transition(state, events[name]),
          states.closed,
        );
        expect(end).toBe(states.closed);
      }),
    );
  });
});

describe("the time of a renewal", () => {
  it.each([
    { ttlMs: 3_600_000, random: 0, afterMs: 1_620_000 },
    { ttlMs: 3_600_000, random: 0.5, afterMs: 1_800_000 },
    { ttlMs: 1, random: 0.5, afterMs: 100 },
  ])("of $ttlMs ms is after $afterMs ms, random $random", ({ ttlMs, random, afterMs }) => {
    expect(renewAfterMs(ttlMs, random)).toBeCloseTo(afterMs);
  });

  it("is around the half, and leaves time to try again", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1_000, max: 86_400_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (ttlMs, random) => {
          expect(renewAfterMs(ttlMs, random)).toBeGreaterThanOrEqual(ttlMs * 0.45);
          expect(renewAfterMs(ttlMs, random)).toBeLessThan(ttlMs * 0.5501);
        },
      ),
    );
  });
});
