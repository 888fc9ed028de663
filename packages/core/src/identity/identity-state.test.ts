import { describe, expect, it } from "vitest";
import {
  afterEnd,
  afterEviction,
  afterRenewal,
  afterTime,
  afterUse,
  type IdentityState,
  issued,
} from "./identity-state.ts";

const unused: IdentityState = { kind: "unused", expiresAtMs: 100 };
const used: IdentityState = { kind: "used", expiresAtMs: 100 };
const ended: IdentityState = { kind: "ended", reason: "revoked" };

describe("identity state", () => {
  it("is unused for its full time after issue", () => {
    expect(issued(40, 60)).toEqual(unused);
  });

  it.each<{ from: IdentityState; event: string; apply: (state: IdentityState) => IdentityState; to: IdentityState }>([
    { from: unused, event: "use", apply: afterUse, to: used },
    { from: used, event: "use", apply: afterUse, to: used },
    { from: ended, event: "use", apply: afterUse, to: ended },
    { from: unused, event: "renew", apply: (s) => afterRenewal(s, 70, 60), to: { kind: "used", expiresAtMs: 130 } },
    { from: used, event: "renew", apply: (s) => afterRenewal(s, 70, 60), to: { kind: "used", expiresAtMs: 130 } },
    { from: ended, event: "renew", apply: (s) => afterRenewal(s, 70, 60), to: ended },
    {
      from: unused,
      event: "end",
      apply: (s) => afterEnd(s, "superseded"),
      to: { kind: "ended", reason: "superseded" },
    },
    { from: used, event: "end", apply: (s) => afterEnd(s, "released"), to: { kind: "ended", reason: "released" } },
    { from: ended, event: "end", apply: (s) => afterEnd(s, "released"), to: ended },
    { from: unused, event: "time before", apply: (s) => afterTime(s, 99), to: unused },
    { from: unused, event: "time at", apply: (s) => afterTime(s, 100), to: { kind: "ended", reason: "expired" } },
    { from: used, event: "time before", apply: (s) => afterTime(s, 99), to: used },
    { from: used, event: "time after", apply: (s) => afterTime(s, 101), to: { kind: "ended", reason: "expired" } },
    { from: ended, event: "time", apply: (s) => afterTime(s, 101), to: ended },
    { from: unused, event: "evict", apply: afterEviction, to: { kind: "ended", reason: "evicted" } },
    { from: used, event: "evict", apply: afterEviction, to: used },
    { from: ended, event: "evict", apply: afterEviction, to: ended },
  ])("$from.kind, $event -> $to", ({ from, apply, to }) => {
    expect(apply(from)).toEqual(to);
  });
});
