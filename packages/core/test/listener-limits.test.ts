import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import {
  type Listener,
  type ListenerOptions,
  type NodeServerResponse,
  openListener,
} from "../src/listener/listener.ts";
import { createEventLog } from "./support/event-log.ts";
import { connectRaw } from "./support/raw-client.ts";

const head = "GET /x HTTP/1.1\r\nHost: localhost\r\n";

function open(options: Partial<ListenerOptions> = {}): Promise<Listener> {
  return openListener({ address: { port: 0 }, handler: (_, response) => void response.end("done"), ...options });
}

/** A handler that leaves every request unanswered. */
function holdingHandler() {
  const held = createEventLog<NodeServerResponse>();
  return { held, handler: (_: unknown, response: NodeServerResponse) => held.add(response) };
}

function connectSession(listener: Listener): ClientHttp2Session {
  const session = connectHttp2(listener.endpoint);
  session.on("error", () => {}); // tests look at its streams and its end
  return session;
}

describe("limits over HTTP/1.1", () => {
  it("answers 431 to headers over maxHeaderBytes, and reports it", async () => {
    const reported = createEventLog<unknown>();
    await using listener = await open({ limits: { maxHeaderBytes: 2048 }, onError: reported.add });
    using fits = await connectRaw(listener.address);
    fits.write(`${head}X-Long: ${"x".repeat(1900)}\r\n\r\n`);
    await fits.until("done");
    using client = await connectRaw(listener.address);
    client.write(`${head}X-Long: ${"x".repeat(2100)}\r\n\r\n`);
    await expect(client.closed).resolves.toMatch(/^HTTP\/1\.1 431 /);
    expect(reported.all).toMatchObject([{ code: "HPE_HEADER_OVERFLOW" }]);
  });

  it("answers 408 to a request whose headers do not end within headerTimeoutMs", async () => {
    await using listener = await open({ limits: { headerTimeoutMs: 100 } });
    using client = await connectRaw(listener.address);
    client.write(head);
    await expect(client.closed).resolves.toMatch(/^HTTP\/1\.1 408 /);
  });

  it("answers 408 to the second request of a connection when its headers do not end", async () => {
    await using listener = await open({ limits: { headerTimeoutMs: 100 } });
    using client = await connectRaw(listener.address);
    client.write(`${head}\r\n`);
    await client.until("done");
    client.write(head);
    await expect(client.closed).resolves.toMatch(/done.*408/s);
  });

  it("does not cut an answer that takes longer than headerTimeoutMs", async () => {
    const { held, handler } = holdingHandler();
    await using listener = await open({ limits: { headerTimeoutMs: 50 }, handler });
    using client = await connectRaw(listener.address);
    client.write(`${head}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`);
    const response = await held.find(() => true);
    // Another connection meets the limit, as the first would have by then.
    using slow = await connectRaw(listener.address);
    slow.write(head);
    await slow.closed;
    response.end("late");
    await client.until("late");
  });

  it("answers 408 to a request whose body does not end within requestTimeoutMs, if there is one", async () => {
    await using listener = await open({ limits: { headerTimeoutMs: 50, requestTimeoutMs: 100 }, handler: () => {} });
    using client = await connectRaw(listener.address);
    client.write(`${head}Content-Length: 10\r\n\r\nabc`);
    await expect(client.closed).resolves.toMatch(/^HTTP\/1\.1 408 /);
  });

  it("closes a connection that stays unused for idleTimeoutMs", async () => {
    await using listener = await open({ limits: { idleTimeoutMs: 50 } });
    using client = await connectRaw(listener.address);
    client.write(`${head}\r\n`);
    await expect(client.closed).resolves.toContain("done");
  });

  it("drops no header, however many fit into maxHeaderBytes", async () => {
    await using listener = await open({
      handler: (request, response) => void response.end(`<${request.rawHeaders.length / 2}>`),
    });
    using client = await connectRaw(listener.address);
    client.write(`${head}${"a: b\r\n".repeat(2_400)}\r\n`);
    await client.until("<2401>");
  });
});

describe("limits over HTTP/2", () => {
  it("refuses headers over maxHeaderBytes, even of a client that did not wait to hear of it; other calls go on", async () => {
    await using listener = await open({ limits: { maxHeaderBytes: 2048 } });
    const session = connectSession(listener);
    const status = async (length: number) => {
      const [headers] = await once(session.request({ "x-long": "x".repeat(length) }), "response");
      return headers[":status"];
    };
    expect(await status(2100)).toBe(431);
    await expect(status(2100)).rejects.toThrow("NGHTTP2_ENHANCE_YOUR_CALM");
    expect(await status(1500)).toBe(200);
    session.destroy();
  });

  it("announces maxConcurrentStreams; further calls wait for a free one", async () => {
    const { held, handler } = holdingHandler();
    await using listener = await open({ limits: { maxConcurrentStreams: 2 }, handler });
    const session = connectSession(listener);
    await once(session, "remoteSettings");
    expect(session.remoteSettings.maxConcurrentStreams).toBe(2);
    const closed = [1, 2, 3].map(() => once(session.request().resume(), "close"));
    await held.find(() => held.all.length === 2);
    expect(listener.inFlight).toBe(2);
    held.all[0]?.end();
    await held.find(() => held.all.length === 3);
    for (const response of held.all) response.end();
    await Promise.all(closed);
    session.destroy();
  });

  it("closes a session that stays without calls for idleTimeoutMs, not one with a silent stream", async () => {
    const clock = new FakeClock();
    const { held, handler } = holdingHandler();
    await using listener = await open({ limits: { idleTimeoutMs: 1_000 }, handler, clock });
    const session = connectSession(listener);
    const stream = session.request().resume();
    const response = await held.find(() => true);
    await clock.advance(60_000);
    expect(session.closed).toBe(false);
    const ended = Promise.all([once(stream, "close"), once(response, "close")]);
    response.end();
    await ended;
    const goaway = once(session, "goaway");
    const closed = new Promise((resolve) => session.once("close", resolve));
    await clock.advance(1_000);
    expect((await goaway)[0]).toBe(constants.NGHTTP2_NO_ERROR);
    await closed;
    await listener.close();
    expect(clock.pending).toBe(0);
  });

  it("ends a session that opens and cancels calls faster than a limit", async () => {
    const reported = createEventLog<unknown>();
    await using listener = await open({ handler: () => {}, onError: reported.add });
    const session = connectSession(listener);
    const ended = new Promise((resolve) => session.once("close", resolve));
    await once(session, "remoteSettings");
    const flood = () => {
      for (let i = 0; i < 500 && !session.destroyed; i++) {
        const stream = session.request();
        stream.on("error", () => {});
        stream.close(constants.NGHTTP2_CANCEL);
      }
      if (!session.destroyed) setImmediate(flood);
    };
    flood();
    await ended;
    await listener.close();
    expect(listener.inFlight).toBe(0);
  });

  it("reports a peer that breaks the rules of HTTP/2, and ends its connection", async () => {
    const reported = createEventLog<unknown>();
    await using listener = await open({ onError: reported.add });
    using client = await connectRaw(listener.address);
    client.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n this is no frame, and certainly not SETTINGS");
    await client.closed;
    expect(reported.all).toMatchObject([{ code: "ERR_HTTP2_ERROR" }]);
  });
});

describe("connections", () => {
  it("refuses one over maxConnections at once and counts it; there is room again when one has gone", async () => {
    await using listener = await open({ limits: { maxConnections: 2 } });
    using first = await connectRaw(listener.address);
    using second = await connectRaw(listener.address);
    for (const client of [first, second]) {
      client.write(`${head}\r\n`);
      await client.until("done");
    }
    using third = await connectRaw(listener.address);
    await expect(third.closed).resolves.toBe("");
    expect([listener.refused, listener.connections]).toEqual([1, 2]);
    first.socket.end();
    await first.closed;
    using fourth = await connectRaw(listener.address);
    fourth.write(`${head}\r\n`);
    await fourth.until("done");
  });

  it.each([
    ["HTTP/1.1", `${head}\r\n`],
    ["HTTP/1.1, while sending", `${head}Content-Length: 10\r\n\r\nabc`],
    ["HTTP/1.1, pipelined", `${head}\r\n${head}\r\n${head}\r\n`],
  ])("forgets the calls of a peer that resets its connection: %s", async (_, bytes) => {
    const { held, handler } = holdingHandler();
    const reported = createEventLog<unknown>();
    await using listener = await open({ handler, onError: reported.add });
    using client = await connectRaw(listener.address);
    client.write(bytes);
    const response = await held.find(() => true);
    expect(listener.inFlight).toBe(held.all.length);
    client.socket.resetAndDestroy();
    await once(response, "close");
    await listener.close();
    expect(listener.inFlight).toBe(0);
    const failed = new Promise((resolve) => response.write("nobody reads this", resolve));
    expect(await failed).toBeInstanceOf(Error); // of its own, and not one of the process
  });

  it.each([
    ["HTTP/1.1", `${head}\r\n`],
    // Preface, SETTINGS, HEADERS of GET http://a/ on stream 1.
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a"],
  ])("forgets the call of a peer that ends its side of the connection: %s", async (_, bytes) => {
    const { held, handler } = holdingHandler();
    await using listener = await open({ handler });
    using client = await connectRaw(listener.address);
    client.write(Buffer.from(bytes, "latin1"));
    const response = await held.find(() => true);
    client.socket.end();
    await once(response, "close");
    expect(listener.inFlight).toBe(0);
  });

  it("sends no 400 into an answer that has begun", async () => {
    const { held, handler } = holdingHandler();
    await using listener = await open({ handler });
    using client = await connectRaw(listener.address);
    client.write(`${head}\r\n`);
    const response = await held.find(() => true);
    response.write("begun");
    await client.until("begun");
    client.write("nonsense\r\n\r\n");
    await expect(client.closed).resolves.not.toContain(" 400 ");
  });

  it("answers 500 when the handler throws, cuts the answer when it has begun, and reports both", async () => {
    const reported = createEventLog<unknown>();
    await using listener = await open({
      handler(request, response) {
        if (request.url === "/late") response.write("begun");
        throw new Error(`no ${request.url}`);
      },
      onError: reported.add,
    });
    using early = await connectRaw(listener.address);
    early.write(`${head}\r\n`);
    await early.until("HTTP/1.1 500 Internal Server Error");
    using late = await connectRaw(listener.address);
    late.write(`${head.replace("/x", "/late")}\r\n`);
    await late.closed;
    expect(reported.all.map(String)).toEqual(["Error: no /x", "Error: no /late"]);
  });

  it("survives a handler that writes after the end of its answer, and reports it", async () => {
    const reported = createEventLog<unknown>();
    await using listener = await open({
      handler(_, response) {
        response.end("done");
        response.write("more");
      },
      onError: reported.add,
    });
    using client = await connectRaw(listener.address);
    client.write(`${head}\r\n`);
    await client.until("done");
    await reported.find((error) => error instanceof Error && "code" in error);
    expect(reported.all).toMatchObject([{ code: "ERR_STREAM_WRITE_AFTER_END" }]);
  });

  it("survives an onError that throws", async () => {
    await using listener = await open({
      onError() {
        throw new Error("the log is full");
      },
    });
    using client = await connectRaw(listener.address);
    client.write("nonsense\r\n\r\n");
    await expect(client.closed).resolves.toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe("a connection that is replaced", () => {
  it("carries maxRequestsPerConnection over HTTP/1.1; the last answer says so", async () => {
    await using listener = await open({ limits: { maxRequestsPerConnection: 2 } });
    using client = await connectRaw(listener.address);
    client.write(`${head}\r\n`);
    await client.until("done");
    client.write(`${head}\r\n`);
    await expect(client.closed).resolves.toMatch(/keep-alive.*done.*\r\nconnection: close\r\n.*done/is);
  });

  it("says GOAWAY with the last call over HTTP/2, and finishes it", async () => {
    const { held, handler } = holdingHandler();
    await using listener = await open({ limits: { maxRequestsPerConnection: 2 }, handler });
    const session = connectSession(listener);
    const closed = new Promise((resolve) => session.once("close", resolve));
    const goaway = once(session, "goaway");
    const streams = [session.request().resume(), session.request().resume()];
    const ends = Promise.all(streams.map((stream) => once(stream, "end")));
    await held.find(() => held.all.length === 2);
    expect((await goaway)[0]).toBe(constants.NGHTTP2_NO_ERROR);
    for (const response of held.all) response.end();
    await ends;
    await closed;
  });

  it("has at most a tenth more than maxConnectionAgeMs over HTTP/2, even without a call", async () => {
    const clock = new FakeClock();
    await using listener = await open({ limits: { maxConnectionAgeMs: 10_000 }, clock });
    const session = connectSession(listener);
    await once(session.request().resume(), "close");
    const closed = new Promise((resolve) => session.once("close", resolve));
    await clock.advance(9_999);
    expect(session.closed).toBe(false);
    const goaway = once(session, "goaway");
    await clock.advance(1_001);
    await goaway;
    await clock.advance(1_000); // a Node client that has no call does not answer the PING
    await closed;
    await listener.close();
    expect(clock.pending).toBe(0);
  });

  it("takes one more request over HTTP/1.1 when it was idle at that age: it may be on its way", async () => {
    const clock = new FakeClock();
    await using listener = await open({ limits: { maxConnectionAgeMs: 10_000 }, clock });
    using client = await connectRaw(listener.address);
    client.write(`${head}\r\n`);
    await client.until("done");
    await clock.advance(11_000);
    client.write(`${head}\r\n`);
    await expect(client.closed).resolves.toMatch(/done.*\r\nconnection: close\r\n.*done/is);
  });

  it("is cut short by a drain", async () => {
    const clock = new FakeClock();
    const listener = await open({ limits: { maxConnectionAgeMs: 10_000 }, clock });
    using client = await connectRaw(listener.address);
    client.write(`${head}\r\n`);
    await client.until("done");
    await clock.advance(11_000);
    await listener.drain(60_000);
    await client.closed;
    expect(clock.pending).toBe(0);
  });
});
