import { getEventListeners } from "node:events";
import { MessageChannel } from "node:worker_threads";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { ConnectionError } from "../src/wire/call-error.ts";
import { createPortClient } from "../src/worker/port-client.ts";
import { WINDOW_BYTES, WINDOW_MESSAGES } from "../src/worker/stream-window.ts";
import { launchData, takeLaunchPort } from "../src/worker/worker-port.ts";
import { createWorkerPair, turn } from "./fixtures/worker-pair.ts";
import { collect } from "./support/collect.ts";
import { createEcho, EchoService } from "./support/echo-service.ts";

async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return ConnectError.from(await work.catch((reason: unknown) => reason));
}

async function settled(turns = 50): Promise<void> {
  for (let count = 0; count < turns; count++) await turn();
}

describe("a slow reader stops the producer", () => {
  it.each([
    { what: "by messages", bytes: 0, most: WINDOW_MESSAGES },
    { what: "by bytes", bytes: 50_000, most: Math.ceil(WINDOW_BYTES / 50_000) },
  ])("of answers, $what, and it goes on when they are read", async ({ bytes, most }) => {
    let made = 0;
    await using pair = await createWorkerPair({
      routes: (router) =>
        router.service(EchoService, {
          async *serverStream() {
            while (made++ < 1_000) yield { data: new Uint8Array(bytes) };
          },
        }),
    });
    const answers = pair.echo.serverStream({})[Symbol.asyncIterator]();
    await answers.next();
    await settled();
    expect(made).toBe(most);
    for (let read = 1; read < 1_000; read++) expect((await answers.next()).done).toBe(false);
    expect((await answers.next()).done).toBe(true);
    await pair.idle();
  });

  it.each([
    { what: "by messages", bytes: 0, most: WINDOW_MESSAGES },
    { what: "by bytes", bytes: 50_000, most: Math.ceil(WINDOW_BYTES / 50_000) },
  ])("of requests, $what, and it goes on when they are read", async ({ bytes, most }) => {
    let made = 0;
    const begin = Promise.withResolvers<void>();
    await using pair = await createWorkerPair({
      routes: (router) =>
        router.service(EchoService, {
          async clientStream(requests) {
            await begin.promise;
            return { count: (await collect(requests)).length };
          },
        }),
    });
    const answer = pair.echo.clientStream(
      (async function* () {
        while (made++ < 1_000) yield { data: new Uint8Array(bytes) };
      })(),
    );
    await settled();
    expect(made).toBe(most);
    begin.resolve();
    expect((await answer).count).toBe(1_000);
    await pair.idle();
  });

  it("a handler that reads no further lets its caller go", async () => {
    await using pair = await createWorkerPair({
      routes: (router) =>
        router.service(EchoService, {
          async clientStream(requests) {
            for await (const { text } of requests) return { text };
            return {};
          },
        }),
    });
    let left = false;
    const answer = await pair.echo.clientStream(
      (async function* () {
        try {
          for (;;) yield { text: "first" };
        } finally {
          left = true;
        }
      })(),
    );
    expect(answer.text).toBe("first");
    await settled();
    expect(left).toBe(true);
    await pair.idle();
  });
});

describe("a deadline", () => {
  it("ends a call that the plugin does not answer, on both sides", async () => {
    const clock = new FakeClock();
    const aborted = Promise.withResolvers<unknown>();
    await using pair = await createWorkerPair(
      {
        routes: (router) =>
          router.service(EchoService, {
            unary: (_, { signal }) =>
              new Promise((_, reject) => {
                signal.addEventListener("abort", () => {
                  aborted.resolve(signal.reason);
                  reject(signal.reason);
                });
              }),
          }),
        clock: new FakeClock(), // that of the plugin stands still, as that of a blocked one does
      },
      { clock },
    );
    const call = errorOf(pair.echo.unary({}, { timeoutMs: 100 }));
    await settled();
    await clock.advance(100);
    expect(Code[(await call).code]).toBe("DeadlineExceeded");
    await expect(aborted.promise).resolves.toMatchObject({ code: Code.DeadlineExceeded });
    await pair.idle();
    expect(clock.pending).toBe(0);
  });

  it("is the callTimeoutMs of the transport for unary calls, which 0 switches off", async () => {
    const clock = new FakeClock();
    const timeouts: unknown[] = [];
    await using pair = await createWorkerPair(
      {
        routes: (router) =>
          router.service(EchoService, {
            ...createEcho(),
            unary(request, { timeoutMs }) {
              timeouts.push(timeoutMs());
              return request;
            },
          }),
        clock,
      },
      { clock, callTimeoutMs: 1_234 },
    );
    await pair.echo.unary({});
    await pair.echo.unary({}, { timeoutMs: 77 });
    const unlimited = pair.client.open({ clock, callTimeoutMs: 0 });
    await createClient(EchoService, unlimited.transport).unary({});
    await unlimited.close();
    expect(timeouts).toEqual([1_234, 77, undefined]);
  });
});

describe("a call", () => {
  it.each(["cancel", "leave", "close transport"])(
    "that its caller gives up (%s) is given up by the plugin",
    async (how) => {
      const aborted = Promise.withResolvers<ConnectError>();
      await using pair = await createWorkerPair({
        routes: (router) =>
          router.service(EchoService, {
            async *bidiStream(requests, { signal }) {
              signal.addEventListener("abort", () => aborted.resolve(signal.reason));
              yield* requests;
            },
          }),
      });
      const caller = new AbortController();
      const over = Promise.withResolvers<void>();
      const requests = (async function* () {
        yield { text: "a" };
        await over.promise;
      })();
      const { transport } = pair.calls; // Connect's own client hides it when its reader leaves
      const { bidiStream } = EchoService.method;
      const { message } = await transport.stream(bidiStream, caller.signal, undefined, undefined, requests);
      const answers = message[Symbol.asyncIterator]();
      await answers.next();
      if (how === "cancel") caller.abort(new ConnectError("enough", Code.Canceled));
      else if (how === "leave") await answers.return?.();
      else await pair.calls.close();
      expect(Code[(await aborted.promise).code]).toBe("Canceled");
      over.resolve();
      await pair.idle();
    },
  );

  it("that has ended leaves no timer and no listener, whatever its deadline and its signal", async () => {
    const clock = new FakeClock();
    const { signal } = new AbortController();
    await using pair = await createWorkerPair({ clock }, { clock });
    const options = { signal, timeoutMs: 1_000 };
    await pair.echo.unary({}, options);
    expect(await collect(pair.echo.serverStream({ count: 3 }, options))).toHaveLength(3);
    expect(Code[(await errorOf(pair.echo.unary({ count: -1 }, options))).code]).toBe("Internal");
    await pair.idle();
    expect(clock.pending).toBe(0);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("whose answers the caller does not take is given up by the plugin", async () => {
    await using pair = await createWorkerPair(
      {
        routes: (router) =>
          router.service(EchoService, {
            async *serverStream() {
              for (;;) yield { data: new Uint8Array(2_000) };
            },
          }),
      },
      { maxMessageBytes: 1_000 },
    );
    expect(Code[(await errorOf(collect(pair.echo.serverStream({})))).code]).toBe("ResourceExhausted");
    await pair.idle();
  });
});

describe("errors", () => {
  it("unknown services, unknown methods and methods of another kind are unimplemented", async () => {
    await using pair = await createWorkerPair({
      routes: (router) => router.rpc(EchoService.method.unary, (request) => request),
    });
    expect(Code[(await errorOf(collect(pair.echo.serverStream({})))).code]).toBe("Unimplemented");
    const other = { ...EchoService.method.serverStream, name: "Unary" };
    const stream = pair.calls.transport.stream(other, undefined, undefined, undefined, once({}));
    expect(Code[(await errorOf(stream)).code]).toBe("Unimplemented");
    expect((await pair.echo.unary({ text: "a" })).text).toBe("a");
  });

  it("a message that cannot be sent fails before anything is sent", async () => {
    await using pair = await createWorkerPair();
    const error = await errorOf(pair.echo.unary({ count: -1 }));
    expect(Code[error.code]).toBe("Internal");
    expect(error.rawMessage).toMatch(/^cannot send the message: .*count/);
    expect(pair.client.inFlight).toBe(0);
  });

  it("bad options are refused, naming them", async () => {
    await using pair = await createWorkerPair();
    expect(() => pair.client.open({ maxMessageBytes: 0 })).toThrow(/^maxMessageBytes must be/);
    expect(() => pair.client.open({ callTimeoutMs: -1 })).toThrow(/^callTimeoutMs must be/);
  });
});

describe("the end", () => {
  it("of the server lets what has been answered arrive, and answers the rest with unavailable", async () => {
    const pair = await createWorkerPair({
      routes: (router) =>
        router.service(EchoService, {
          ...createEcho(),
          clientStream: () => new Promise(() => {}),
        }),
    });
    const many = pair.echo.serverStream({ count: 500 })[Symbol.asyncIterator]();
    await many.next();
    const stuck = errorOf(pair.echo.clientStream(once({})));
    const answered = Array.from({ length: 100 }, () => pair.echo.unary({ text: "a" }));
    await settled();
    await pair.served.close();
    await pair.client.closed;
    for (const answer of answered) expect((await answer).text).toBe("a");
    expect(await stuck).toMatchObject({ code: Code.Unavailable, rawMessage: "the plugin has been stopped" });
    const rest = errorOf(
      (async () => {
        for (;;) if ((await many.next()).done) throw new Error("it ended");
      })(),
    );
    expect(Code[(await rest).code]).toBe("Unavailable");
    const late = await errorOf(pair.echo.unary({}));
    expect(late.cause).toBeInstanceOf(ConnectionError);
    expect(late.cause).toMatchObject({ stage: "connect", endpoint: "worker:pair" });
  });

  it("of the port ends calls in flight, with a cause that tells", async () => {
    const pair = await createWorkerPair({
      routes: (router) => router.service(EchoService, { unary: () => new Promise(() => {}) }),
    });
    const call = errorOf(pair.echo.unary({}));
    await settled();
    pair.client.close();
    const error = await call;
    expect(Code[error.code]).toBe("Unavailable");
    expect(error.cause).toMatchObject({ stage: "call" });
    await pair.served.closed;
    expect([pair.client.inFlight, pair.served.inFlight]).toEqual([0, 0]);
  });

  it("of one transport leaves the others alone", async () => {
    await using pair = await createWorkerPair();
    const other = pair.client.open({});
    await other.close();
    const closed = createClient(EchoService, other.transport);
    expect(Code[(await errorOf(closed.unary({}))).code]).toBe("Canceled");
    expect((await pair.echo.unary({ text: "a" })).text).toBe("a");
  });
});

it("a plugin that reads nothing is sent no more than a bounded amount", async () => {
  const { port1, port2 } = new MessageChannel();
  const client = createPortClient(port1, "worker:deaf");
  const calls = client.open({});
  const echo = createClient(EchoService, calls.transport);
  const data = new Uint8Array(1_000_000);
  const outcomes = Array.from({ length: 60 }, () => errorOf(echo.unary({ data })));
  await settled();
  await calls.close();
  const codes = (await Promise.all(outcomes)).map(({ code }) => Code[code]);
  expect(codes.filter((code) => code === "Canceled").length).toBeLessThan(40);
  expect(new Set(codes)).toEqual(new Set(["Canceled", "ResourceExhausted"]));
  client.close();
  port2.close();
});

it("a plugin that reads what it is sent may be sent any amount", async () => {
  await using pair = await createWorkerPair();
  const data = new Uint8Array(1_000_000);
  for (let sent = 0; sent < 50; sent++) await pair.echo.unary({ data });
});

describe("takeLaunchPort", () => {
  it("hands over the port of the launcher, once", () => {
    const { port1, port2 } = new MessageChannel();
    const data = { ...launchData(port2, "worker:p"), mine: 1 };
    expect(takeLaunchPort(data)).toEqual({ port: port2, endpoint: "worker:p" });
    expect(takeLaunchPort(data)).toBeUndefined();
    expect(data.mine).toBe(1);
    port1.close();
  });

  it("is undefined where nobody launched a plugin", () => {
    for (const data of [undefined, null, "text", 5, {}, { port: 1 }]) expect(takeLaunchPort(data)).toBeUndefined();
    expect(takeLaunchPort()).toBeUndefined();
  });

  it("refuses a launcher of another version, and says what to do", () => {
    const { port1, port2 } = new MessageChannel();
    const [key = ""] = Object.keys(launchData(port2, "worker:p"));
    for (const launch of [{ version: 2, port: port2, endpoint: "worker:p" }, { version: 1 }, null, "text"]) {
      const error = ConnectError.from(errorOfCall(() => takeLaunchPort({ [key]: launch })));
      expect(Code[error.code]).toBe("FailedPrecondition");
      expect(error.rawMessage).toMatch(/speaks version .*this plugin version 1: use versions of @cpg\/core/);
    }
    port1.close();
  });
});

function errorOfCall(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

async function* once<T>(item: T): AsyncGenerator<T, void, void> {
  yield item;
}
