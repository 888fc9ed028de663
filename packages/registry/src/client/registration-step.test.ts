import { describe, expect, it } from "vitest";
import { type HeldRegistration, registrationStep } from "./registration-step.ts";

const identity = { runtimeId: "plugin-1", hostUrl: "http://host.test" };
const never = Number.POSITIVE_INFINITY;
const held = (facts: Partial<HeldRegistration>): HeldRegistration => ({
  id: "r1",
  identity,
  renewAtMs: never,
  checkAtMs: never,
  ...facts,
});

describe("registrationStep", () => {
  it.each([
    { of: "nothing", now: undefined, step: { kind: "register" } },
    {
      of: "one under another identity",
      now: held({ identity: { ...identity, runtimeId: "plugin-0" } }),
      step: { kind: "register" },
    },
    {
      of: "one at another host",
      now: held({ identity: { ...identity, hostUrl: "http://other.test" } }),
      step: { kind: "register" },
    },
    { of: "one that is due", now: held({ renewAtMs: 100 }), step: { kind: "register" } },
    { of: "one that is overdue, with a check", now: held({ renewAtMs: 99, checkAtMs: 1 }), step: { kind: "register" } },
    { of: "one to be checked", now: held({ renewAtMs: 101, checkAtMs: 100 }), step: { kind: "check" } },
    { of: "one with both ahead", now: held({ renewAtMs: 130, checkAtMs: 110 }), step: { kind: "wait", ms: 10 } },
    { of: "one with a renewal ahead", now: held({ renewAtMs: 130 }), step: { kind: "wait", ms: 30 } },
    { of: "one without an end", now: held({}), step: { kind: "wait", ms: never } },
  ])("of $of", ({ now, step }) => {
    expect(registrationStep(now, identity, 100)).toEqual(step);
  });
});
