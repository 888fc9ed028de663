import { getEventListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createClient,
  createContextValues,
  createRouterTransport,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
} from "@connectrpc/connect";
import { verifiedIdentityKey } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import {
  type HealthCheckRequest,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthService,
  ServingStatus,
} from "../gen/connectplugin/health/v1/health_pb.ts";
import { RuntimeService } from "../gen/cpg/runtime/v1/runtime_pb.ts";
import { createIdentityRegistry, type IdentityRegistry, type IssuedIdentity } from "./identity-registry.ts";
import { requireIdentity } from "./require-identity.ts";
import { type RuntimeIdentity, runtimeIdentityKey } from "./runtime-identity.ts";
import { createRuntimeService } from "./runtime-service.ts";

const serving = create(HealthCheckResponseSchema, { status: ServingStatus.SERVING });

interface Holder {
  readonly clock: FakeClock;
  readonly identities: IdentityRegistry;
  readonly issued: IssuedIdentity;
  readonly headers: Record<string, string>;
  /** Listeners that calls have on the identity. */
  readonly listening: { count: number };
}

function issueOne(): Holder {
  const clock = new FakeClock();
  const inner = createIdentityRegistry({ clock, ttlMs: 1_000 });
  const issued = inner.issue({ selfId: "a" });
  const listening = { count: 0 };
  const counted = (identity: RuntimeIdentity): RuntimeIdentity => ({
    ...identity,
    onEnd(listener) {
      listening.count++;
      let stop = () => void listening.count--;
      const forget = identity.onEnd((error) => {
        stop();
        stop = () => {};
        listener(error);
      });
      return () => {
        stop();
        stop = () => {};
        forget();
      };
    },
  });
  const identities: IdentityRegistry = { ...inner, authenticate: (headers) => counted(inner.authenticate(headers)) };
  const headers = { "X-Plugin-Runtime-ID": issued.identity.runtimeId, Authorization: `Bearer ${issued.token}` };
  return { clock, identities, issued, headers, listening };
}

type Handler = (requests: AsyncIterable<HealthCheckRequest>) => AsyncIterable<HealthCheckResponse>;

/** Calls a streaming handler through the interceptor, as a server does. */
async function openStream(holder: Holder, handler: Handler, requests: AsyncIterable<HealthCheckRequest>) {
  const controller = new AbortController();
  const request: StreamRequest = {
    stream: true,
    service: HealthService,
    method: HealthService.method.watch,
    requestMethod: "POST",
    url: "http://localhost/",
    signal: controller.signal,
    header: new Headers(holder.headers),
    contextValues: createContextValues(),
    message: requests,
  };
  const next = (req: Parameters<ReturnType<Interceptor>>[0]) => {
    const messages = (req as StreamRequest).message as AsyncIterable<HealthCheckRequest>;
    const response: StreamResponse = {
      stream: true,
      service: HealthService,
      method: HealthService.method.watch,
      header: new Headers(),
      trailer: new Headers(),
      message: handler(messages),
    };
    return Promise.resolve(response);
  };
  const response = (await requireIdentity(holder.identities)(next)(request)) as StreamResponse;
  return {
    reader: response.message[Symbol.asyncIterator](),
    controller,
    signalListeners: () => getEventListeners(controller.signal, "abort").length,
  };
}

/** A source of messages that records how it ended. */
function source(values: readonly HealthCheckRequest[], log: string[], endless = false) {
  const queue = [...values];
  const iterator: AsyncIterableIterator<HealthCheckRequest> = {
    [Symbol.asyncIterator]: () => iterator,
    next() {
      const value = queue.shift();
      if (value !== undefined) return Promise.resolve({ done: false, value });
      return endless ? new Promise(() => {}) : Promise.resolve({ done: true, value: undefined });
    },
    return() {
      log.push("source returned");
      return Promise.resolve({ done: true, value: undefined });
    },
  };
  return iterator;
}

const request = create(HealthCheckRequestSchema, { service: "x" });

/** Answers each message with "serving". */
const echo: Handler = async function* (requests) {
  for await (const _request of requests) yield serving;
};

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => value,
    (error) => Code[ConnectError.from(error).code],
  );
}

describe("requireIdentity, streams", () => {
  it("passes messages both ways, and listens to nothing afterwards", async () => {
    const holder = issueOne();
    const { reader, signalListeners } = await openStream(holder, echo, source([request, request], []));
    expect(holder.listening.count).toBe(1);
    expect([await reader.next(), await reader.next(), await reader.next()].map(({ done }) => done)).toEqual([
      false,
      false,
      true,
    ]);
    expect([holder.listening.count, signalListeners()]).toEqual([0, 0]);
  });

  it("ends reader, handler and source at once when the identity ends, though all of them wait", async () => {
    const holder = issueOne();
    const log: string[] = [];
    const handler: Handler = async function* (requests) {
      try {
        for await (const _request of requests) yield serving;
      } catch (error) {
        log.push(`handler: ${Code[ConnectError.from(error).code]}`);
        throw error;
      } finally {
        log.push("handler done");
      }
    };
    const { reader, signalListeners } = await openStream(holder, handler, source([request], log, true));
    await reader.next();
    const pending = outcome(reader.next());
    holder.identities.revoke(holder.issued.identity.runtimeId);
    expect(await pending).toBe("Unauthenticated");
    expect(await outcome(reader.next())).toBe("Unauthenticated");
    await reader.return?.();
    expect(log).toEqual(["source returned", "handler: Unauthenticated", "handler done"]);
    expect([holder.listening.count, signalListeners()]).toEqual([0, 0]);
  });

  it("ends a stream whose handler ignores everything", async () => {
    const holder = issueOne();
    const deaf: Handler = () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) });
    const { reader } = await openStream(holder, deaf, source([], []));
    const pending = outcome(reader.next());
    await holder.clock.advance(1_000);
    expect(await pending).toBe("Unauthenticated");
  });

  it("returns the handler's iterator when the reader leaves", async () => {
    const holder = issueOne();
    const log: string[] = [];
    const handler: Handler = async function* (requests) {
      try {
        for await (const _request of requests) yield serving;
      } finally {
        log.push("handler done");
      }
    };
    const { reader, signalListeners } = await openStream(holder, handler, source([request, request], log));
    await reader.next();
    await reader.return?.();
    expect(log).toEqual(["source returned", "handler done"]);
    expect([holder.listening.count, signalListeners()]).toEqual([0, 0]);
  });

  it("passes a handler's failure on, and listens to nothing afterwards", async () => {
    const holder = issueOne();
    const failing: Handler = async function* () {
      yield serving;
      throw new ConnectError("broken", Code.DataLoss);
    };
    const { reader, signalListeners } = await openStream(holder, failing, source([], []));
    await reader.next();
    expect(await outcome(reader.next())).toBe("DataLoss");
    expect([holder.listening.count, signalListeners()]).toEqual([0, 0]);
  });

  it("listens to nothing after an abort between two messages", async () => {
    const holder = issueOne();
    const { reader, controller } = await openStream(holder, echo, source([request, request], []));
    await reader.next();
    controller.abort();
    expect(holder.listening.count).toBe(0);
  });
});

describe("requireIdentity, on a server in memory", () => {
  function setUp() {
    const holder = issueOne();
    const seen: unknown[] = [];
    /** Ends of the handlers that wait. */
    const aborted: Promise<unknown>[] = [];
    const waiting = { count: 0, reached: () => {} };
    const waitForAbort = (signal: AbortSignal): Promise<unknown> => {
      const end = new Promise((resolve) => signal.addEventListener("abort", resolve));
      aborted.push(end);
      if (aborted.length === waiting.count) waiting.reached();
      return end;
    };
    const handlersWaiting = (count: number): Promise<void> =>
      new Promise((resolve) => {
        Object.assign(waiting, { count, reached: resolve });
        if (aborted.length >= count) resolve();
      });
    const interceptors = [requireIdentity(holder.identities)];
    const transport = createRouterTransport(({ service }) => {
      service(
        HealthService,
        {
          async check({ service: name }, { values, signal }) {
            seen.push(values.get(runtimeIdentityKey)?.runtimeId, values.get(verifiedIdentityKey)?.source);
            if (name === "wait") await waitForAbort(signal);
            return serving;
          },
          async *watch(_request, { signal }) {
            yield serving;
            await waitForAbort(signal);
          },
        },
        { interceptors },
      );
      service(RuntimeService, createRuntimeService(holder.identities), { interceptors });
    });
    const headers = holder.headers;
    const health = createClient(HealthService, transport);
    const runtime = createClient(RuntimeService, transport);
    return { ...holder, seen, aborted, handlersWaiting, headers, health, runtime };
  }

  it("lets a holder in and tells handlers who calls", async () => {
    const { health, headers, seen, issued, listening } = setUp();
    expect((await health.check({}, { headers })).status).toBe(ServingStatus.SERVING);
    expect(seen).toEqual([issued.identity.runtimeId, "runtime-identity"]);
    expect(listening.count).toBe(0);
  });

  it("keeps everybody else out", async () => {
    const { health, headers, seen } = setUp();
    expect(await outcome(health.check({}))).toBe("Unauthenticated");
    expect(await outcome(health.check({}, { headers: { ...headers, Authorization: "Bearer x" } }))).toBe(
      "Unauthenticated",
    );
    const watching = health.watch({})[Symbol.asyncIterator]();
    expect(await outcome(watching.next())).toBe("Unauthenticated");
    expect(seen).toEqual([]);
  });

  it("ends an open call and an open stream when the identity ends, and aborts their handlers", async () => {
    const { health, headers, identities, issued, aborted, handlersWaiting, listening } = setUp();
    const stream = health.watch({}, { headers })[Symbol.asyncIterator]();
    await stream.next();
    const ends = [outcome(stream.next()), outcome(health.check({ service: "wait" }, { headers }))];
    await handlersWaiting(2);
    identities.revoke(issued.identity.runtimeId, "superseded");
    expect(await Promise.all(ends)).toEqual(["Unauthenticated", "Unauthenticated"]);
    await Promise.all(aborted);
    expect(listening.count).toBe(0);
  });

  it("ends a thousand open calls of one holder, and none of another", async () => {
    const { health, headers, identities, issued, handlersWaiting, listening } = setUp();
    const other = identities.issue({ selfId: "b" });
    const otherHeaders = {
      "X-Plugin-Runtime-ID": other.identity.runtimeId,
      Authorization: `Bearer ${other.token}`,
    };
    const open = Array.from({ length: 1_000 }, () => outcome(health.check({ service: "wait" }, { headers })));
    const unharmed = outcome(health.check({ service: "wait" }, { headers: otherHeaders }));
    await handlersWaiting(1_001);
    identities.revoke(issued.identity.runtimeId);
    expect(new Set(await Promise.all(open))).toEqual(new Set(["Unauthenticated"]));
    expect(listening.count).toBe(1);
    identities.revoke(other.identity.runtimeId);
    expect(await unharmed).toBe("Unauthenticated");
    expect(listening.count).toBe(0);
  });

  it("renews and releases by RPC; the release itself is answered, other calls end", async () => {
    const { runtime, health, headers, identities, issued, clock, handlersWaiting } = setUp();
    await clock.advance(900);
    expect((await runtime.renewIdentity({}, { headers })).ttl?.seconds).toBe(1n);
    await clock.advance(900);
    const open = outcome(health.check({ service: "wait" }, { headers }));
    await handlersWaiting(1);
    await runtime.releaseIdentity({}, { headers });
    expect(await open).toBe("Unauthenticated");
    expect(issued.identity.ended.reason).toMatchObject({ cause: { fault: "released" } });
    expect(identities.get(issued.identity.runtimeId)).toBeUndefined();
    expect(await outcome(runtime.renewIdentity({}, { headers }))).toBe("Unauthenticated");
  });
});
