import { createContextValues } from "@connectrpc/connect";
import * as resilience from "@cpg/resilience";
import * as testing from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";

describe("what the package exports", () => {
  it("is exactly what its README lists", () => {
    expect(Object.keys(resilience).toSorted()).toEqual([
      "AttemptTimeoutError",
      "BulkheadFullError",
      "CircuitOpenError",
      "DeadlineError",
      "RateLimitError",
      "backoffDelay",
      "byEach",
      "byIdentity",
      "byMethod",
      "byPeer",
      "byTrustedHeader",
      "clientDeadline",
      "createBackoff",
      "createBulkhead",
      "createCallPropagation",
      "createCircuitBreaker",
      "createRateLimit",
      "createRetryBudget",
      "deadlineKey",
      "hedging",
      "isConnectionLost",
      "isIdempotent",
      "isUnprocessed",
      "markUnprocessed",
      "nodePeer",
      "peerKey",
      "peerName",
      "policyInterceptor",
      "readRetryDelay",
      "requestSourceKey",
      "resolveBackoffOptions",
      "retry",
      "retryLater",
      "serverDeadline",
      "socketPeer",
      "systemClock",
      "take",
      "timeLeftMs",
      "tokenBucket",
      "verdictOnError",
      "verifiedIdentityKey",
    ]);
    expect(Object.keys(testing).toSorted()).toEqual(["FakeClock", "faults", "seededRandom"]);
  });

  it("has two different context keys, neither set on a call that nobody said anything about", () => {
    const { peerKey, verifiedIdentityKey } = resilience;
    const values = createContextValues();
    expect([values.get(peerKey), values.get(verifiedIdentityKey)]).toEqual([undefined, undefined]);
    const identity = { id: "kv-1", source: "test" };
    values.set(verifiedIdentityKey, identity);
    expect([values.get(peerKey), values.get(verifiedIdentityKey)]).toEqual([undefined, identity]);
  });
});
