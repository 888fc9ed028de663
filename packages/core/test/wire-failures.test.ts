import { constants, type Http2Session, type ServerHttp2Stream } from "node:http2";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { systemClock } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { within } from "../src/internal/bounded.ts";
import { ConnectionError } from "../src/wire/call-error.ts";
import { type CallTransportOptions, openCallTransport } from "../src/wire/call-transport.ts";
import { collect } from "./support/collect.ts";
import { EchoService } from "./support/echo-service.ts";
import { createEventLog } from "./support/event-log.ts";
import {
  type MisbehavingServer,
  proxyTo,
  refuse,
  serveHttp,
  serveRaw,
  serveSessions,
} from "./support/misbehaving-servers.ts";

const versions = ["1.1", "2"] as const;
const kinds = ["unary", "stream"] as const;
type Kind = (typeof kinds)[number];

/** No failure below takes longer than this by itself; a test gives up at five times of it. */
const boundMs = 1_000;

interface Caller extends AsyncDisposable {
  /** How one call fails. A call that succeeds fails the test, and so does one that does not end. */
  failure(kind: Kind, signal?: AbortSignal): Promise<ConnectError>;
  readonly client: ReturnType<typeof createClient<typeof EchoService>>;
  close(): Promise<void>;
}

function callerOf({ endpoint }: MisbehavingServer, options: Partial<CallTransportOptions>): Caller {
  const calls = openCallTransport({ endpoint, httpVersion: "1.1", ...options });
  const client = createClient(EchoService, calls.transport);
  const run = async (kind: Kind, signal?: AbortSignal): Promise<unknown> =>
    kind === "unary"
      ? await client.unary({ text: "hi" }, signal ? { signal } : {})
      : await collect(client.serverStream({ count: 2 }, signal ? { signal } : {}));
  return {
    client,
    failure: (kind, signal) => {
      const failure = run(kind, signal).then(
        (result) => Promise.reject(new Error(`the call succeeded with ${JSON.stringify(result)}`)),
        (error: unknown) => (error instanceof ConnectError ? error : Promise.reject(error)),
      );
      return within(
        systemClock,
        5 * boundMs,
        () => failure,
        () => new Error("the call did not end"),
      );
    },
    close: () => calls.close(),
    [Symbol.asyncDispose]: () => calls.close(),
  };
}

const cases = versions.flatMap((httpVersion) => kinds.map((kind) => ({ httpVersion, kind })));

/** What a peer does to a connection, and how the call then fails. */
const broken: readonly {
  name: string;
  only?: "1.1" | "2";
  open(httpVersion: "1.1" | "2"): Promise<MisbehavingServer>;
  stage: string;
}[] = [
  { name: "nobody listens", open: refuse, stage: "connect" },
  { name: "it closes at once", open: () => serveRaw((socket) => socket.end()), stage: "call|http" },
  { name: "it resets at once", open: () => serveRaw((socket) => socket.resetAndDestroy()), stage: "connect|call|http" },
  {
    name: "it resets when it has heard something",
    open: () => serveRaw((socket) => socket.once("data", () => socket.resetAndDestroy())),
    stage: "call|http",
  },
  {
    name: "it sends garbage",
    open: () => serveRaw((socket) => socket.write("\x00\xff what?\r\n".repeat(99))),
    stage: "call|http",
  },
  {
    name: "it answers the preface of HTTP/2 with 400",
    only: "2",
    open: () => serveRaw((socket) => socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")),
    stage: "http",
  },
  {
    name: "it speaks cleartext where TLS is expected",
    open: () => serveRaw((socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"), "https"),
    stage: "tls",
  },
  {
    name: "it resets when the response has begun",
    open: (httpVersion) =>
      serveHttp(httpVersion, {
        http1: (response) => {
          response.writeHead(200, { "content-type": response.req.headers["content-type"] });
          response.write(Buffer.alloc(3), () => response.socket?.resetAndDestroy());
        },
        http2: (stream, headers) => {
          stream.respond({ ":status": 200, "content-type": headers["content-type"] });
          stream.write(Buffer.alloc(3), () => stream.session?.destroy(undefined, constants.NGHTTP2_INTERNAL_ERROR));
        },
      }),
    stage: "call",
  },
  {
    name: "it says GOAWAY with an error during the call",
    only: "2",
    open: () => serveHttp("2", { http2: (stream) => stream.session?.goaway(constants.NGHTTP2_INTERNAL_ERROR) }),
    stage: "call",
  },
  {
    name: "it says GOAWAY with an error to every session",
    only: "2",
    open: () => serveSessions((session) => session.goaway(constants.NGHTTP2_INTERNAL_ERROR)),
    stage: "call|http",
  },
];

describe("a peer that breaks the connection", () => {
  const table = broken.flatMap((row) =>
    cases.filter((one) => !row.only || row.only === one.httpVersion).map((one) => ({ ...row, ...one })),
  );

  it.each(table)("$name: $kind over HTTP/$httpVersion is unavailable", async ({ open, stage, httpVersion, kind }) => {
    await using server = await open(httpVersion);
    await using caller = callerOf(server, { httpVersion });
    const error = await caller.failure(kind);
    expect(error.code).toBe(Code.Unavailable);
    expect(error.cause).toBeInstanceOf(ConnectionError);
    expect(error.cause).toMatchObject({
      endpoint: expect.stringContaining("127.0.0.1:"),
      stage: expect.stringMatching(stage),
    });
    expect(error.message).toContain("127.0.0.1:");
  });
});

describe("a peer that accepts and stays silent", () => {
  it.each(cases)(
    "TLS: $kind over HTTP/$httpVersion ends when connectTimeoutMs has passed",
    async ({ httpVersion, kind }) => {
      const clock = new FakeClock();
      await using server = await serveRaw(() => {}, "https");
      await using caller = callerOf(server, { httpVersion, clock, connectTimeoutMs: 7_000 });
      const failure = caller.failure(kind);
      const [socket] = [await server.accepted.find(() => true)];
      await new Promise<void>((resolve) => socket.once("data", () => resolve())); // the client's hello
      await clock.advance(6_999);
      expect(clock.pending).toBeGreaterThan(0);
      await clock.advance(1);
      const error = await failure;
      expect(error).toMatchObject({ code: Code.Unavailable, cause: { stage: "tls" } });
      expect(error.rawMessage).toContain("within 7000 ms");
      await caller.close();
      expect(clock.pending).toBe(0);
    },
  );

  it.each(kinds)("HTTP/2: %s ends when connectTimeoutMs has passed without a frame", async (kind) => {
    const clock = new FakeClock();
    await using server = await serveRaw();
    await using caller = callerOf(server, { httpVersion: "2", clock, connectTimeoutMs: 7_000 });
    const dialing = clock.nextSleep();
    const failure = caller.failure(kind);
    await dialing;
    await clock.nextSleep(); // connected, waiting for SETTINGS
    await clock.advance(7_000);
    expect(await failure).toMatchObject({ code: Code.Unavailable, cause: { stage: "http" } });
    expect(clock.pending).toBe(0);
  });

  it("HTTP/1.1: a unary call ends with deadline_exceeded when callTimeoutMs has passed", async () => {
    await using server = await serveRaw();
    await using caller = callerOf(server, { callTimeoutMs: 50 });
    expect((await caller.failure("unary")).code).toBe(Code.DeadlineExceeded);
  });

  it("HTTP/1.1: a stream ends when a probe beside it gets no answer", async () => {
    const clock = new FakeClock();
    await using server = await serveRaw();
    await using caller = callerOf(server, {
      clock,
      connectTimeoutMs: 30_000,
      pingIntervalMs: 20_000,
      pingTimeoutMs: 15_000,
    });
    const failure = caller.failure("stream");
    await server.accepted.find(() => true);
    await clock.advance(20_000);
    await server.accepted.find(() => server.accepted.all.length === 2);
    await clock.advance(15_000);
    const error = await failure;
    expect(error).toMatchObject({ code: Code.Unavailable, cause: { stage: "call" } });
    expect(error.rawMessage).toContain("no sign of life within 15000 ms");
    await caller.close();
    expect(clock.pending).toBe(0);
  });
});

describe("a peer that never answers", () => {
  it.each(versions)(
    "ends a unary call over HTTP/%s with deadline_exceeded after callTimeoutMs",
    async (httpVersion) => {
      await using server = await serveHttp(httpVersion);
      await using caller = callerOf(server, { httpVersion, callTimeoutMs: 50 });
      expect((await caller.failure("unary")).code).toBe(Code.DeadlineExceeded);
    },
  );

  it.each(versions)("leaves a stream over HTTP/%s open as long as it gives signs of life", async (httpVersion) => {
    const clock = new FakeClock();
    const requests = createEventLog<void>();
    await using server = await serveHttp(httpVersion, {
      http1: (response) => {
        // The stream stays silent, the probes beside it are answered.
        if (response.req.url === "/healthz") response.writeHead(404).end();
        requests.add();
      },
      http2: () => requests.add(),
    });
    await using caller = callerOf(server, { httpVersion, clock, connectTimeoutMs: 60_000, callTimeoutMs: 1_000 });
    const abort = new AbortController();
    const failure = caller.failure("stream", abort.signal);
    await requests.find(() => true);
    for (let minute = 0; minute < 3; minute++) {
      await clock.advance(20_000);
      // Asleep again: the sign of life has come.
      await within(
        systemClock,
        5 * boundMs,
        () => untilAlone(clock),
        () => new Error("no sign of life"),
      );
    }
    abort.abort();
    expect((await failure).code).toBe(Code.Canceled);
    await caller.close();
    expect(clock.pending).toBe(0);
  });
});

/** Resolves when one sleep is left, that of the heartbeat. */
async function untilAlone(clock: FakeClock): Promise<void> {
  while (clock.pending !== 1 || (clock.nextDueMs ?? 0) < 19_000) await new Promise((resolve) => setImmediate(resolve));
}

describe("a peer that hangs", () => {
  it("ends the open stream of an HTTP/2 session when a PING gets no answer", async () => {
    const clock = new FakeClock();
    const requests = createEventLog<void>();
    await using server = await serveHttp("2", { http2: () => requests.add() });
    await using proxy = await proxyTo(urlOf(server));
    await using caller = callerOf(proxy, { httpVersion: "2", clock, pingIntervalMs: 20_000, pingTimeoutMs: 15_000 });
    const failure = caller.failure("stream");
    await requests.find(() => true);
    proxy.freeze();
    const pinging = clock.waitForSleep(1);
    await clock.advance(20_000);
    await pinging;
    await clock.advance(15_000);
    const error = await failure;
    expect(error).toMatchObject({ code: Code.Unavailable, cause: { stage: "call" } });
    expect(error.rawMessage).toContain("no answer to a PING within 15000 ms");
    expect(clock.pending).toBe(0);
  });

  it("is noticed before the next call when an HTTP/2 session was unused for long", async () => {
    const clock = new FakeClock();
    await using server = await serveHttp("2", {
      http2: (stream) => {
        stream.respond({ ":status": 200, "content-type": "application/proto" });
        stream.end();
      },
    });
    await using proxy = await proxyTo(urlOf(server));
    await using caller = callerOf(proxy, { httpVersion: "2", clock, pingIntervalMs: 20_000, pingTimeoutMs: 15_000 });
    await caller.client.unary({});
    proxy.freeze();
    await clock.advance(20_001);
    const pinging = clock.nextSleep();
    const failure = caller.failure("unary");
    await pinging;
    await clock.advance(15_000);
    // The old session is given up, a new one dialed.
    await proxy.accepted.find(() => proxy.accepted.all.length === 2);
    await caller.close();
    expect(await failure).toMatchObject({ code: Code.Canceled, rawMessage: expect.stringContaining("is closed") });
  });
});

describe("a reset of one stream", () => {
  it.each([
    { reset: "REFUSED_STREAM", number: constants.NGHTTP2_REFUSED_STREAM, code: Code.Unavailable },
    { reset: "INTERNAL_ERROR", number: constants.NGHTTP2_INTERNAL_ERROR, code: Code.Internal },
    { reset: "CANCEL", number: constants.NGHTTP2_CANCEL, code: Code.Canceled },
    { reset: "ENHANCE_YOUR_CALM", number: constants.NGHTTP2_ENHANCE_YOUR_CALM, code: Code.ResourceExhausted },
  ])("$reset ends the call with its own code, and the session goes on", async ({ number, code }) => {
    await using server = await serveHttp("2", { http2: (stream) => stream.close(number) });
    await using caller = callerOf(server, { httpVersion: "2" });
    for (const kind of kinds) expect((await caller.failure(kind)).code).toBe(code);
    expect(server.accepted.all).toHaveLength(1);
  });
});

describe("GOAWAY without an error", () => {
  it("lets the call finish on its session; the next call gets a new one", async () => {
    const release = Promise.withResolvers<void>();
    const goodbyes = createEventLog<void>();
    await using server = await serveHttp("2", {
      http2: (stream) => {
        stream.session?.goaway(constants.NGHTTP2_NO_ERROR, stream.id ?? 0);
        goodbyes.add();
        void release.promise.then(() => {
          stream.respond({ ":status": 200, "content-type": "application/proto" });
          stream.end();
        });
      },
    });
    await using caller = callerOf(server, { httpVersion: "2" });
    const first = caller.client.unary({});
    await goodbyes.find(() => true);
    release.resolve();
    await first;
    await caller.client.unary({});
    expect(server.accepted.all).toHaveLength(2);
  });

  it("ends a session that has no calls", async () => {
    const sessions = createEventLog<Http2Session>();
    await using server = await serveHttp("2", {
      http2: (stream) => {
        if (stream.session) sessions.add(stream.session);
        stream.respond({ ":status": 200, "content-type": "application/proto" });
        stream.end();
      },
    });
    await using proxy = await proxyTo(urlOf(server));
    await using caller = callerOf(proxy, { httpVersion: "2" });
    await caller.client.unary({});
    const connection = await proxy.accepted.find(() => true);
    const closed = new Promise<void>((resolve) => connection.once("close", () => resolve()));
    (await sessions.find(() => true)).goaway(constants.NGHTTP2_NO_ERROR);
    await closed;
  });

  it("sends a call that the server did not look at over a new session, and the one before it goes on", async () => {
    const streams = createEventLog<ServerHttp2Stream>();
    await using server = await serveHttp("2", { http2: streams.add });
    await using caller = callerOf(server, { httpVersion: "2" });
    const first = caller.client.unary({});
    const before = await streams.find(() => true);
    const second = caller.client.unary({});
    await streams.find(() => streams.all.length === 2);
    before.session?.goaway(constants.NGHTTP2_NO_ERROR, before.id ?? 0);
    await streams.find(() => streams.all.length === 3);
    for (const stream of [streams.all[2], before]) {
      stream?.respond({ ":status": 200, "content-type": "application/proto" });
      stream?.end();
    }
    await Promise.all([first, second]);
    expect(server.accepted.all).toHaveLength(2);
  });

  it("ends a call with unavailable when every session says it at once, instead of dialing for ever", async () => {
    await using server = await serveSessions((session) => session.goaway(constants.NGHTTP2_NO_ERROR));
    await using caller = callerOf(server, { httpVersion: "2", callTimeoutMs: 5_000 });
    const error = await caller.failure("unary");
    expect(error.code).toBe(Code.Unavailable);
    expect(server.accepted.all.length).toBeLessThanOrEqual(3);
  });
});

function urlOf({ endpoint }: MisbehavingServer): string {
  return endpoint.kind === "tcp" ? endpoint.url : "";
}
