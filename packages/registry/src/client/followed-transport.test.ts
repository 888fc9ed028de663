import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { createServiceClient } from "@cpg/core/extension";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { createQueue } from "../../test/support/queue.ts";
import { RelayService } from "../../test/support/relay-service.ts";
import type { ServiceView } from "../watch/service-view.ts";
import { type ChosenProvider, createFollowedTransport } from "./followed-transport.ts";
import type { ServiceViews } from "./resumed-watch.ts";

const chosen = (providerId: string): ChosenProvider => ({ providerId, endpointUrl: `/services/relay/${providerId}` });

function viewOf(...providerIds: readonly string[]): ServiceView {
  const providers = providerIds.map((providerId) => ({
    ...chosen(providerId),
    version: "1.0.0",
    metadata: {},
    health: "healthy" as const,
    reason: "",
    draining: false,
  }));
  const state = providers.length === 0 ? "unavailable" : "available";
  return { type: "relay", state, endpoint: providers[0], providers, revision: 1, epoch: "e", restarted: false };
}

function scene({ minVersion = "1.0.0", router = true } = {}) {
  const clock = new FakeClock();
  const closing = new AbortController();
  const identityListeners = new Set<() => void>();
  /** Prefixes of the calls that were made, and their time-outs. */
  const calls: { readonly prefix: string; readonly timeoutMs: number | undefined }[] = [];
  const watches: { readonly views: ReturnType<typeof createQueue<ServiceView>>; readonly signal: AbortSignal }[] = [];
  const state = {
    discovers: 0,
    discover: (): Promise<ChosenProvider> => Promise.resolve(chosen("a")),
    /** Thrown by what is called. */
    error: undefined as ConnectError | undefined,
    watchError: undefined as ConnectError | undefined,
  };
  const provider = createRouterTransport(({ service }) => {
    const fail = (): void => {
      if (state.error !== undefined) throw state.error;
    };
    service(RelayService, {
      unary(request) {
        fail();
        return request;
      },
      async *serverStream(request) {
        yield request;
        fail();
      },
      async clientStream(requests) {
        let count = 0;
        for await (const request of requests) count += request.count;
        fail();
        return { count };
      },
      async *bidiStream(requests) {
        for await (const request of requests) yield request;
        fail();
      },
    });
  });
  const transportTo = (prefix: string): Transport => {
    if (!prefix.startsWith("/services/")) throw new TypeError("no path");
    const note = (timeoutMs: number | undefined): void => void calls.push({ prefix, timeoutMs });
    return {
      unary(method, signal, timeoutMs, header, input, values) {
        note(timeoutMs);
        return provider.unary(method, signal, undefined, header, input, values);
      },
      stream(method, signal, timeoutMs, header, input, values) {
        note(timeoutMs);
        return provider.stream(method, signal, undefined, header, input, values);
      },
    };
  };
  const watch = (signal: AbortSignal): ServiceViews => {
    const views = createQueue<ServiceView>();
    watches.push({ views, signal });
    const iterator: ServiceViews = {
      [Symbol.asyncIterator]: () => iterator,
      next: async () => {
        if (state.watchError !== undefined) throw state.watchError;
        return { done: false, value: await views.take() };
      },
    };
    return iterator;
  };
  const transport = createFollowedTransport({
    type: "relay",
    minVersion,
    link: {
      transportTo,
      hostMetadata: router ? { "cpg.router": "1" } : {},
      onIdentityChange(listener) {
        const own = () => listener(undefined);
        identityListeners.add(own);
        return () => void identityListeners.delete(own);
      },
    },
    clock,
    discover() {
      state.discovers += 1;
      return state.discover();
    },
    watch,
    closed: closing.signal,
  });
  const client = createServiceClient(RelayService, transport);
  return {
    state,
    clock,
    calls,
    watches,
    identityListeners,
    closing,
    client,
    prefixes: () => calls.map(({ prefix }) => prefix),
    changeIdentity() {
      for (const tell of [...identityListeners]) tell();
    },
  };
}

type Scene = ReturnType<typeof scene>;

const kinds: Record<string, (client: Scene["client"]) => Promise<unknown>> = {
  unary: (client) => client.unary({ count: 1 }),
  "server streaming": (client) => drain(client.serverStream({ count: 1 })),
  "client streaming": (client) => client.clientStream(requests()),
  "bidi streaming": (client) => drain(client.bidiStream(requests())),
};

async function* requests() {
  yield { count: 1 };
}

async function drain(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of messages);
}

describe("calls under a host that chooses the provider of each", () => {
  it.each(Object.entries(kinds))("go to it: %s", async (_, call) => {
    const { client, state, watches, prefixes } = scene({ minVersion: "" });
    await call(client);
    await call(client);
    expect({ prefixes: prefixes(), discovers: state.discovers, watches: watches.length }).toEqual({
      prefixes: ["/services/relay/-", "/services/relay/-"],
      discovers: 0,
      watches: 0,
    });
  });
});

describe.each([
  { under: "with a least version", options: {} },
  { under: "under another host", options: { minVersion: "", router: false } },
])("calls $under", ({ options }) => {
  it.each(Object.entries(kinds))("go to one provider, found once: %s", async (_, call) => {
    const { client, state, prefixes } = scene(options);
    await Promise.all([call(client), call(client)]);
    await call(client);
    expect({ prefixes: prefixes(), discovers: state.discovers }).toEqual({
      prefixes: Array.from({ length: 3 }, () => "/services/relay/a"),
      discovers: 1,
    });
  });

  const gone = [Code.Unavailable, Code.NotFound, Code.Unimplemented];
  it.each(Object.entries(kinds).flatMap(([kind, call]) => gone.map((code) => ({ kind, call, code }))))(
    "look for another provider after code $code: $kind",
    async ({ call, code }) => {
      const { client, state, prefixes } = scene(options);
      state.error = new ConnectError("gone", code);
      await expect(call(client)).rejects.toMatchObject({ code });
      state.error = undefined;
      state.discover = async () => chosen("b");
      await call(client);
      expect(prefixes()).toEqual(["/services/relay/a", "/services/relay/b"]);
    },
  );

  it("stay with their provider after other errors, which are its own", async () => {
    const { client, state } = scene(options);
    for (const code of [Code.InvalidArgument, Code.Internal, Code.ResourceExhausted, Code.DeadlineExceeded]) {
      state.error = new ConnectError("no", code);
      await expect(client.unary({})).rejects.toMatchObject({ code });
    }
    expect(state.discovers).toBe(1);
  });

  it("look for another provider after a change, and after nothing else", async () => {
    const { client, state, watches, clock } = scene(options);
    await client.unary({});
    expect(watches).toHaveLength(1);
    watches[0]?.views.put(viewOf("a", "b"));
    await clock.advance(0);
    await client.unary({});
    expect(state.discovers).toBe(1);
    watches[0]?.views.put(viewOf("a", "b", "c"));
    await clock.advance(0);
    await client.unary({});
    await client.unary({});
    expect({ discovers: state.discovers, watches: watches.length }).toEqual({ discovers: 2, watches: 1 });
  });

  it("look for another provider when theirs has gone before the watch began", async () => {
    const { client, state, watches, clock } = scene(options);
    await client.unary({});
    watches[0]?.views.put(viewOf("b"));
    await clock.advance(0);
    await client.unary({});
    expect(state.discovers).toBe(2);
  });

  it("look for another provider under another identity", async () => {
    const { client, state, changeIdentity } = scene(options);
    await client.unary({});
    changeIdentity();
    await client.unary({});
    expect(state.discovers).toBe(2);
  });
});

describe("a provider that was looked for", () => {
  it("is looked for again after a failure, which all who waited get", async () => {
    const { client, state, watches } = scene();
    state.discover = () => Promise.reject(new ConnectError("nobody", Code.NotFound));
    const outcomes = await Promise.allSettled([client.unary({}), drain(client.serverStream({}))]);
    expect(outcomes).toMatchObject([{ reason: { code: Code.NotFound } }, { reason: { code: Code.NotFound } }]);
    state.discover = async () => chosen("a");
    await client.unary({});
    expect({ discovers: state.discovers, watches: watches.length }).toEqual({ discovers: 2, watches: 1 });
  });

  it("is not forgotten for what an older one led to", async () => {
    const { client, state, changeIdentity, prefixes } = scene();
    const stream = client.serverStream({})[Symbol.asyncIterator]();
    await stream.next();
    changeIdentity();
    state.discover = async () => chosen("b");
    await client.unary({});
    state.error = new ConnectError("gone", Code.Unavailable);
    await expect(stream.next()).rejects.toMatchObject({ code: Code.Unavailable });
    state.error = undefined;
    await client.unary({});
    expect(prefixes()).toEqual(["/services/relay/a", "/services/relay/b", "/services/relay/b"]);
    expect(state.discovers).toBe(2);
  });

  it("is not kept when a change comes while it is being looked for", async () => {
    const { client, state, changeIdentity } = scene();
    const { promise, resolve } = Promise.withResolvers<ChosenProvider>();
    state.discover = () => promise;
    const call = client.unary({});
    changeIdentity();
    resolve(chosen("a"));
    await call;
    state.discover = async () => chosen("b");
    await client.unary({});
    expect(state.discovers).toBe(2);
  });

  it("does without a watch that the host refuses, and asks for one with the next provider", async () => {
    const { client, state, watches, clock, changeIdentity } = scene();
    state.watchError = new ConnectError("no", Code.PermissionDenied);
    await client.unary({});
    await clock.advance(0);
    await client.unary({});
    expect({ discovers: state.discovers, watches: watches.length }).toEqual({ discovers: 1, watches: 1 });
    changeIdentity();
    await client.unary({});
    expect(watches).toHaveLength(2);
  });

  it("has to have a path", async () => {
    const { client, state } = scene();
    state.discover = async () => ({ providerId: "a", endpointUrl: "http://elsewhere.test/" });
    await expect(client.unary({})).rejects.toMatchObject({ code: Code.Internal });
  });
});

describe("the time of a call", () => {
  it("includes that of the look for a provider", async () => {
    const { client, state, clock, calls } = scene();
    const { promise, resolve } = Promise.withResolvers<ChosenProvider>();
    state.discover = () => promise;
    const late = expect(client.unary({}, { timeoutMs: 300 })).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    const inTime = client.unary({}, { timeoutMs: 1_000 });
    const unbounded = [client.unary({}), client.unary({}, { timeoutMs: 0 })];
    await clock.advance(400);
    await late;
    resolve(chosen("a"));
    await Promise.all([inTime, ...unbounded]);
    await client.unary({}, { timeoutMs: 1_000 });
    expect(calls.map(({ timeoutMs }) => timeoutMs)).toEqual([600, undefined, 0, 1_000]);
    expect({ discovers: state.discovers, pending: clock.pending }).toEqual({ discovers: 1, pending: 0 });
  });

  it("ends when its caller gives up, not that of others who wait for the same provider", async () => {
    const { client, state, clock } = scene();
    const { promise, resolve } = Promise.withResolvers<ChosenProvider>();
    state.discover = () => promise;
    const controller = new AbortController();
    const given = expect(client.unary({}, { signal: controller.signal })).rejects.toMatchObject({
      code: Code.Canceled,
    });
    const other = client.unary({});
    controller.abort(new Error("given up"));
    await given;
    resolve(chosen("a"));
    await other;
    expect({ discovers: state.discovers, pending: clock.pending }).toEqual({ discovers: 1, pending: 0 });
  });
});

it("ends with its client: no call begins, nothing is followed", async () => {
  const { client, closing, watches, identityListeners } = scene();
  await client.unary({});
  closing.abort(new ConnectError("closed", Code.Canceled));
  await expect(client.unary({})).rejects.toMatchObject({ code: Code.Canceled });
  expect({ watching: watches[0]?.signal.aborted, listeners: identityListeners.size }).toEqual({
    watching: true,
    listeners: 0,
  });
});
