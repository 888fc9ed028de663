import { Code } from "@connectrpc/connect";
import { type AuthEvent, createJwtAuth, type JwtAuthOptions } from "@cpg/auth";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { admitted, callBoth, guardedService, refused } from "./support/guarded-service.ts";
import { createSigningKey, type KeyServer, sign, startKeyServer } from "./support/issuer.ts";

const [first, second] = await Promise.all([createSigningKey("k1"), createSigningKey("k2")]);
const unavailable = [Code.Unavailable, Code.Unavailable];

function open(server: KeyServer, options: Partial<JwtAuthOptions> = {}) {
  const clock = new FakeClock();
  const events: AuthEvent[] = [];
  const auth = createJwtAuth({
    keys: { url: server.url },
    issuer: "https://issuer.test",
    audience: "kv",
    maxCacheMs: 0,
    clock,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const service = guardedService({ server: [auth.serverInterceptor()] });
  return {
    clock,
    events,
    ...service,
    call: (token: string) => callBoth(service, { authorization: `Bearer ${token}` }),
  };
}

describe("keys from a URL", () => {
  it("are fetched when they are first needed, once for all that need them", async () => {
    await using server = await startKeyServer([first]);
    const { clock, client } = open(server);
    const headers = { authorization: `Bearer ${await sign(first, clock)}` };
    expect(server.fetches).toBe(0);
    await Promise.all(Array.from({ length: 20 }, () => client.check({}, { headers })));
    expect(server.fetches).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it("rotate without a restart: a token with a new key brings them", async () => {
    await using server = await startKeyServer([first]);
    const { clock, call } = open(server);
    expect(await call(await sign(first, clock))).toEqual(admitted);
    server.serve([first, second]);
    await clock.advance(30_000);
    expect(await call(await sign(second, clock))).toEqual(admitted);
    expect(await call(await sign(first, clock))).toEqual(admitted);
    expect(server.fetches).toBe(2);
  });

  it("are fetched at most once per cooldown in a storm of unknown key ids", async () => {
    await using server = await startKeyServer([first]);
    const { clock, client } = open(server);
    const strangers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => sign(second, clock, {}, { kid: `unknown-${index}` })),
    );
    const storm = () =>
      Promise.allSettled(strangers.map((token) => client.check({}, { headers: { authorization: `Bearer ${token}` } })));
    await storm();
    await storm();
    expect(server.fetches).toBe(1);
    await clock.advance(29_999);
    await storm();
    expect(server.fetches).toBe(1);
    await clock.advance(1);
    await storm();
    await storm();
    expect(server.fetches).toBe(2);
  });

  it("are fetched again after maxAgeMs: a key that was withdrawn counts no longer", async () => {
    await using server = await startKeyServer([first, second]);
    const { clock, call } = open(server);
    expect(await call(await sign(first, clock))).toEqual(admitted);
    server.serve([second]);
    await clock.advance(599_999);
    expect(await call(await sign(first, clock))).toEqual(admitted);
    await clock.advance(1);
    expect(await call(await sign(first, clock))).toEqual(refused);
    expect(server.fetches).toBe(2);
  });

  it("serve on while the server is down, for maxStaleMs, with one fetch per cooldown", async () => {
    await using server = await startKeyServer([first]);
    const { clock, call, events } = open(server);
    expect(await call(await sign(first, clock))).toEqual(admitted);
    server.serve((response) => response.writeHead(503).end());
    await clock.advance(600_000);
    for (let count = 0; count < 3; count++) expect(await call(await sign(first, clock))).toEqual(admitted);
    expect(server.fetches).toBe(2);
    await clock.advance(3_000_001);
    expect(await call(await sign(first, clock))).toEqual(unavailable);
    expect(events.at(-1)).toMatchObject({ kind: "unavailable" });
    server.serve([first]);
    await clock.advance(30_000);
    expect(await call(await sign(first, clock))).toEqual(admitted);
  });

  it.each<[string, Parameters<KeyServer["serve"]>[0]]>([
    ["an error", (response) => response.writeHead(500).end()],
    ["a redirect", (response) => response.writeHead(302, { location: "/elsewhere" }).end()],
    ["no JSON", (response) => response.end("<html>")],
    ["no key set", (response) => response.end('{"keys":"none"}')],
    ["too much", (response) => response.end(`{"keys":[],"x":"${"x".repeat(600_000)}"}`)],
    ["nothing", (response) => response.destroy()],
  ])("are unavailable when the server answers with %s, and fetched again after the cooldown", async (_, answer) => {
    await using server = await startKeyServer([first]);
    server.serve(answer);
    const { clock, call } = open(server);
    const token = await sign(first, clock);
    expect(await call(token)).toEqual(unavailable);
    expect(server.fetches).toBe(1);
    server.serve([first]);
    await clock.advance(30_000);
    expect(await call(token)).toEqual(admitted);
    expect(clock.pending).toBe(0);
  });

  it("are unavailable when the server does not answer in time", async () => {
    await using server = await startKeyServer([first]);
    const asked = Promise.withResolvers<void>();
    server.serve(() => asked.resolve());
    const { clock, client } = open(server);
    const headers = { authorization: `Bearer ${await sign(first, clock)}` };
    const failed = expect(client.check({}, { headers })).rejects.toMatchObject({ code: Code.Unavailable });
    await asked.promise;
    await clock.advance(5_000);
    await failed;
    expect(clock.pending).toBe(0);
  });
});
