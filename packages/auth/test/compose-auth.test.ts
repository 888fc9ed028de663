import { Code } from "@connectrpc/connect";
import {
  type AuthEvent,
  type AuthOutcome,
  type AuthProvider,
  composeAuth,
  createApiKeyAuth,
  createTokenAuth,
  defineAuthProvider,
  requireAuth,
} from "@cpg/auth";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { admitted, callBoth, guardedService, refused } from "./support/guarded-service.ts";

/** A provider that takes "good" in a header of its own, at once or later. */
function providerOf(name: string, later: boolean, place = name): AuthProvider {
  return defineAuthProvider({
    name,
    place,
    clientInterceptor: () => (next) => (request) => {
      request.header.append(`x-${place}`, `from ${name}`);
      return next(request);
    },
    authenticate({ header }) {
      const value = header.get(`x-${place}`);
      const outcome: AuthOutcome =
        value === null
          ? { kind: "absent" }
          : value === "good"
            ? { kind: "proved", auth: { identity: `whom ${name} knows`, claims: {}, provider: name } }
            : { kind: "refused", reason: "not good" };
      return later ? Promise.resolve(outcome) : outcome;
    },
  });
}

describe("composeAuth on a server", () => {
  it("lets nobody in with one bad credential, in any order and mix of providers", { timeout: 60_000 }, async () => {
    const names = ["a", "b", "c", "d"];
    const mix = fc.record({
      order: fc.shuffledSubarray(names, { minLength: 1 }),
      later: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      sent: fc.dictionary(fc.constantFrom(...names), fc.constantFrom("good", "bad")),
      nested: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(mix, async ({ order, later, sent, nested }) => {
        const providers = order.map((name) => providerOf(name, later[names.indexOf(name)] ?? false));
        const inner =
          nested && providers.length > 1 ? [composeAuth(providers.slice(0, -1)), ...providers.slice(-1)] : providers;
        const service = guardedService({ server: [composeAuth(inner).serverInterceptor()] });
        const headers = Object.fromEntries(Object.entries(sent).map(([name, value]) => [`x-${name}`, value]));
        const known = order.filter((name) => Object.hasOwn(sent, name));
        const holds = known.length > 0 && known.every((name) => sent[name] === "good");
        expect(await callBoth(service, headers)).toEqual(holds ? admitted : refused);
        // The first that found its kind says who it is.
        const provider = holds ? known[0] : undefined;
        expect(service.seen.map((auth) => auth?.provider)).toEqual(holds ? [provider, provider] : []);
      }),
      { numRuns: 1_000 },
    );
  });

  it("leaves one credential to the first provider that finds its kind there", async () => {
    const first = providerOf("first", false, "place");
    const second = defineAuthProvider({
      ...providerOf("second", false, "place"),
      authenticate: () => ({ kind: "refused", reason: "asked" }),
    });
    const service = guardedService({ server: [composeAuth([first, second]).serverInterceptor()] });
    expect(await callBoth(service, { "x-place": "good" })).toEqual(admitted);
    const reversed = guardedService({ server: [composeAuth([second, first]).serverInterceptor()] });
    expect(await callBoth(reversed, { "x-place": "good" })).toEqual(refused);
  });

  it("reports one event for each request, with the provider that decided", async () => {
    const events: AuthEvent[] = [];
    const auth = composeAuth([providerOf("a", false), providerOf("b", true)], {
      onEvent: (event) => events.push(event),
    });
    const { client } = guardedService({ server: [auth.serverInterceptor()] });
    await client.check({}, { headers: { "x-b": "good" } });
    await client.check({}, { headers: { "x-a": "good", "x-b": "bad" } }).catch(() => {});
    await client.check({}).catch(() => {});
    expect(events).toMatchObject([
      { kind: "proved", provider: "b", identity: "whom b knows" },
      { kind: "refused", provider: "a+b", reason: "b: not good" },
      { kind: "absent" },
    ]);
  });

  it("is not impressed by a provider that throws or rejects, nor by a listener that does", async () => {
    for (const authenticate of [
      () => {
        throw new Error("secret");
      },
      () => Promise.reject(new Error("secret")),
    ]) {
      const broken = defineAuthProvider({ ...providerOf("broken", false), authenticate });
      const onEvent = () => {
        throw new Error("listener");
      };
      const auth = composeAuth([providerOf("a", false), broken], { onEvent });
      expect(await callBoth(guardedService({ server: [auth.serverInterceptor()] }), { "x-a": "good" })).toEqual(
        refused,
      );
    }
  });

  it("is unavailable while a provider cannot tell", async () => {
    const down = defineAuthProvider({
      ...providerOf("down", false),
      authenticate: () => ({ kind: "unavailable", reason: "no key server" }),
    });
    const service = guardedService({ server: [composeAuth([down, providerOf("a", false)]).serverInterceptor()] });
    expect(await callBoth(service, { "x-a": "good" })).toEqual([Code.Unavailable, Code.Unavailable]);
  });

  it("lets nobody through as nobody only when optional, up to a service that requires somebody", async () => {
    const auth = composeAuth([providerOf("a", false), providerOf("b", false)]);
    const open = guardedService({ server: [auth.serverInterceptor({ optional: true })] });
    expect(await callBoth(open)).toEqual(admitted);
    expect(await callBoth(open, { "x-b": "bad" })).toEqual(refused);
    const closed = guardedService({ server: [auth.serverInterceptor({ optional: true }), requireAuth()] });
    expect(await callBoth(closed)).toEqual(refused);
    expect(await callBoth(closed, { "x-b": "good" })).toEqual(admitted);
  });
});

describe("composeAuth on a client", () => {
  it("sends all credentials, in the order of the providers", async () => {
    const token = createTokenAuth({ credential: "t", keys: [{ identity: "ann", value: "t" }] });
    const key = createApiKeyAuth({ credential: "k", keys: [{ identity: "ci", value: "k" }] });
    const both = composeAuth([token, key]);
    const service = guardedService({ server: [both.serverInterceptor()], client: [both.clientInterceptor()] });
    expect(await callBoth(service)).toEqual(admitted);
    expect(service.seen[0]).toMatchObject({ identity: "ann", provider: "token" });
  });
});

it("refuses to be made of nothing, or of two of one name", () => {
  expect(() => composeAuth([])).toThrow(/^providers must hold/);
  expect(() => composeAuth([providerOf("a", false), providerOf("a", false)])).toThrow(/two named a$/);
});
