import { describe, expect, it } from "vitest";
import type { AuthOutcome } from "./auth-provider.ts";
import { defineAuthProvider } from "./define-auth-provider.ts";

const request = { header: new Headers(), peer: undefined, path: "/" };

function outcomeOf(answer: unknown) {
  const authenticate = () => answer as AuthOutcome;
  return defineAuthProvider({
    name: "own",
    place: "header x-own",
    clientInterceptor: () => (next) => next,
    authenticate,
  }).authenticate(request);
}

/** A promise of another library. */
function foreignPromise(outcome: unknown) {
  const promise = Promise.resolve(outcome);
  // biome-ignore lint/suspicious/noThenProperty: that is what it is.
  return { then: promise.then.bind(promise) };
}

describe("what a provider of one's own answers", () => {
  const failed = { kind: "refused", reason: "provider own failed" };

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["no outcome", { identity: "ann" }],
    ["an unknown kind", { kind: "ok" }],
    ["later, nothing", Promise.resolve(undefined)],
    ["later, an unknown kind", Promise.resolve({ kind: "ok" })],
    ["later, a foreign promise of no outcome", foreignPromise({ kind: "ok" })],
  ])("is a refusal if it is no outcome: %s", async (_, answer) => {
    expect(await outcomeOf(answer)).toEqual(failed);
  });

  it("is waited for, whoever's promise it is", async () => {
    const outcome = outcomeOf(foreignPromise({ kind: "absent" }));
    expect(outcome).toBeInstanceOf(Promise);
    expect(await outcome).toEqual({ kind: "absent" });
  });
});
