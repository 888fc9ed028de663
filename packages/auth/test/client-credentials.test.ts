import { Code, ConnectError } from "@connectrpc/connect";
import { type Credential, createTokenAuth, type TokenAuthOptions } from "@cpg/auth";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { guardedService } from "./support/guarded-service.ts";

/** A server that takes what the test says, and a client with this source. */
function open(options: Partial<TokenAuthOptions> & { accepts?: (token: string) => boolean }) {
  const { accepts = () => true, ...rest } = options;
  const clock = new FakeClock();
  const sent: string[] = [];
  const server = createTokenAuth({
    verify(token) {
      sent.push(token);
      return accepts(token) ? { identity: "ann" } : undefined;
    },
  });
  const auth = createTokenAuth({ clock, ...rest });
  const service = guardedService({ server: [server.serverInterceptor()], client: [auth.clientInterceptor()] });
  const watch = async () => {
    for await (const _ of service.client.watch({}));
  };
  return { clock, sent, client: service.client, watch };
}

/** Credentials that are valid for this long, numbered. */
function numbered(clockOf: () => FakeClock, validMs: number) {
  let count = 0;
  return (): Credential => ({ value: `token-${++count}`, expiresAtMs: clockOf().now() + validMs });
}

describe("the credential of a client", () => {
  it("is sent with every call, of either kind", async () => {
    const { client, watch, sent } = open({ credential: "fixed" });
    await client.check({});
    await watch();
    expect(sent).toEqual(["fixed", "fixed"]);
  });

  it("is asked for once for calls that begin together, and kept", async () => {
    let asked = 0;
    const gate = Promise.withResolvers<string>();
    const { client, sent } = open({
      credential: () => {
        asked++;
        return gate.promise;
      },
    });
    const calls = [client.check({}), client.check({})];
    gate.resolve("late");
    await Promise.all(calls);
    await client.check({});
    expect([asked, sent]).toEqual([1, ["late", "late", "late"]]);
  });

  it("is replaced before it expires, without a call that waits for it", async () => {
    const opened: ReturnType<typeof open> = open({ credential: numbered(() => opened.clock, 600_000) });
    const { client, clock, sent } = opened;
    await client.check({});
    await clock.advance(539_999);
    await client.check({});
    await clock.advance(1);
    await client.check({}); // asks, and goes with what is still good
    await client.check({});
    expect(sent).toEqual(["token-1", "token-1", "token-1", "token-2"]);
  });

  it("is replaced at half of its time when that is short", async () => {
    const opened: ReturnType<typeof open> = open({ credential: numbered(() => opened.clock, 10_000) });
    await opened.client.check({});
    await opened.clock.advance(5_000);
    await opened.client.check({});
    await opened.client.check({});
    expect(opened.sent).toEqual(["token-1", "token-1", "token-2"]);
  });

  it("is waited for once it has expired", async () => {
    const opened: ReturnType<typeof open> = open({ credential: numbered(() => opened.clock, 10_000) });
    await opened.client.check({});
    await opened.clock.advance(10_000);
    await opened.client.check({});
    expect(opened.sent).toEqual(["token-1", "token-2"]);
  });

  it("is asked for again, once, when a server refuses it", async () => {
    let count = 0;
    const { client, sent } = open({
      credential: () => `token-${++count}`,
      accepts: (token) => token !== "token-1",
    });
    await client.check({});
    await client.check({});
    expect(sent).toEqual(["token-1", "token-2", "token-2"]);
    const never = open({ credential: () => `token-${++count}`, accepts: () => false });
    await expect(never.client.check({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    expect(never.sent).toHaveLength(2);
  });

  it("is not sent twice when the source has no other", async () => {
    const { client, sent } = open({ credential: "fixed", accepts: () => false });
    await expect(client.check({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    expect(sent).toEqual(["fixed"]);
  });

  it("is not sent again for a stream, but the next call has another", async () => {
    let count = 0;
    const { client, watch, sent } = open({
      credential: () => `token-${++count}`,
      accepts: (token) => token !== "token-1",
    });
    await expect(watch()).rejects.toMatchObject({ code: Code.Unauthenticated });
    await client.check({});
    expect(sent).toEqual(["token-1", "token-2"]);
  });

  it.each<[string, () => string | Credential | Promise<string>]>([
    [
      "throws",
      () => {
        throw new Error("vault sealed");
      },
    ],
    ["rejects", () => Promise.reject(new Error("vault sealed"))],
    ["gives nothing", () => ""],
    ["gives what no header can hold", () => "a,b"],
    ["gives what has expired", () => ({ value: "old", expiresAtMs: 0 })],
  ])("fails the call when the source %s, and is asked for again by the next", async (_, bad) => {
    let count = 0;
    const { client, sent } = open({ credential: () => (++count === 1 ? bad() : "good") });
    const failure = ConnectError.from(await client.check({}).catch((reason: unknown) => reason));
    expect(failure).toMatchObject({ code: Code.Unauthenticated, rawMessage: "no credential for the call" });
    await client.check({});
    expect(sent).toEqual(["good"]);
  });

  it("fails the call when the source takes too long, whose signal aborts", async () => {
    const signals: AbortSignal[] = [];
    const { client, clock } = open({
      credential: (signal) => {
        signals.push(signal);
        return new Promise(() => {});
      },
      sourceTimeoutMs: 5_000,
    });
    const call = client.check({});
    const failed = expect(call).rejects.toMatchObject({ code: Code.Unauthenticated });
    await clock.waitForSleep();
    await clock.advance(5_000);
    await failed;
    expect(signals[0]?.aborted).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it("is not waited for by a caller that went away; the others get it", async () => {
    const gate = Promise.withResolvers<string>();
    const { client, sent } = open({ credential: () => gate.promise });
    const gone = new AbortController();
    const abandoned = client.check({}, { signal: gone.signal });
    const other = client.check({});
    gone.abort();
    await expect(abandoned).rejects.toMatchObject({ code: Code.Canceled });
    gate.resolve("late");
    await other;
    expect(sent).toEqual(["late"]);
  });
});
