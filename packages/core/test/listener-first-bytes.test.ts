import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTls } from "node:tls";
import { FakeClock } from "@cpg/resilience/testing";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { type Listener, type ListenerOptions, openListener, peerOf } from "../src/listener/listener.ts";
import { createCertificates, type TestCertificates } from "./support/certificates.ts";
import { createEventLog } from "./support/event-log.ts";
import { connectRaw } from "./support/raw-client.ts";

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** An empty SETTINGS frame. */
const settings = "\0\0\0\u0004\0\0\0\0\0";
const request = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";

let certificates: TestCertificates;
beforeAll(async () => {
  certificates = await createCertificates();
});

const errors = createEventLog<unknown>;

/** Answers each request with its HTTP version and the TLS protocol of its connection. */
function open(options: Partial<ListenerOptions> = {}): Promise<Listener> {
  return openListener({
    address: { port: 0 },
    handler: (request, response) => void response.end(`${request.httpVersion} ${peerOf(request).tls?.protocol}`),
    ...options,
  });
}

describe("first bytes of a connection", () => {
  it("speaks HTTP/1.1 with a request that comes one byte at a time", async () => {
    await using listener = await open();
    using client = await connectRaw(listener.address);
    client.socket.setNoDelay(true);
    for (const byte of request) {
      client.write(byte);
      await new Promise(setImmediate);
    }
    await client.until("1.1 undefined");
  });

  it("speaks HTTP/1.1 with a POST whose body is in the same packet", async () => {
    await using listener = await open({
      handler: (request, response) => void request.on("data", (chunk: Buffer) => response.end(chunk)),
    });
    using client = await connectRaw(listener.address);
    client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    await client.until("hello");
  });

  it("answers pipelined requests that came in one packet, in order", async () => {
    await using listener = await open({ handler: (request, response) => void response.end(`<${request.url}>`) });
    using client = await connectRaw(listener.address);
    client.write(["/1", "/2", "/3"].map((path) => request.replace("/x", path)).join(""));
    await client.until("</3>");
    client.socket.destroy();
    expect((await client.closed).match(/<\/\d>/g)).toEqual(["</1>", "</2>", "</3>"]);
  });

  it.each([1, 2, 4, 10, 23])("speaks HTTP/2 with a preface cut after byte %d", async (cut) => {
    await using listener = await open();
    using client = await connectRaw(listener.address);
    client.socket.setNoDelay(true);
    client.write(preface.slice(0, cut));
    await new Promise(setImmediate);
    client.write(preface.slice(cut) + settings);
    // The server's own SETTINGS, and its answer to ours.
    await client.until("\u0004\u0001\0\0\0\0");
  });

  it.each([
    ["a preface that goes on otherwise", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"],
    ["a method that no HTTP has", "PRIX / HTTP/1.1\r\n\r\n"],
    ["no HTTP at all", "\u0001\u0002\u0003\u0004\r\n\r\n"],
    ["HTTP/1.1 without Host", "GET / HTTP/1.1\r\n\r\n"],
  ])("answers 400 to %s", async (_, bytes) => {
    await using listener = await open();
    using client = await connectRaw(listener.address);
    client.write(bytes);
    await expect(client.closed).resolves.toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
  });

  it.each([
    ["nothing", ""],
    ["part of a preface", "PRI * HT"],
  ])("cuts a peer that sent %s, after headerTimeoutMs", async (_, bytes) => {
    const clock = new FakeClock();
    const reported = errors();
    await using listener = await open({ clock, limits: { headerTimeoutMs: 4_000 }, onError: reported.add });
    const asleep = clock.waitForSleep();
    using client = await connectRaw(listener.address);
    client.write(bytes);
    await asleep;
    await clock.advance(3_999);
    expect(listener.connections).toBe(1);
    await clock.advance(1);
    await expect(client.closed).resolves.toBe("");
    expect(String(reported.all[0])).toContain("began no request within 4000 ms");
    expect(clock.pending).toBe(0);
  });

  it("law: whatever peers send, the next one is served, and nothing is left of them after close", async () => {
    await using listener = await open();
    const beginnings = ["", preface, preface + settings, "GET / HTTP/1.1\r\n", "\u0016\u0003\u0001", "PRI * "];
    const ended: Promise<string>[] = [];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...beginnings), fc.uint8Array({ maxLength: 200 }), async (first, rest) => {
        const client = await connectRaw(listener.address);
        client.socket.end(Buffer.concat([Buffer.from(first, "latin1"), rest]));
        ended.push(client.closed);
      }),
      { numRuns: 200 },
    );
    using client = await connectRaw(listener.address);
    client.write(request);
    await client.until("1.1 undefined");
    await listener.close();
    await Promise.all(ended);
    expect([listener.inFlight, listener.connections]).toEqual([0, 0]);
  });

  it("cuts a peer that ends its side before it said what it speaks", async () => {
    const clock = new FakeClock();
    await using listener = await open({ clock });
    using client = await connectRaw(listener.address);
    client.socket.end("PRI * ");
    await client.closed;
    expect(clock.pending).toBe(0);
  });

  it("forgets a peer that resets the connection before it said what it speaks", async () => {
    const clock = new FakeClock();
    const reported = errors();
    await using listener = await open({ clock, onError: reported.add });
    using client = await connectRaw(listener.address);
    await clock.waitForSleep();
    client.socket.resetAndDestroy();
    await reported.find((error) => error instanceof Error && "code" in error && error.code === "ECONNRESET");
    await listener.close();
    expect(clock.pending).toBe(0);
  });
});

describe("TLS", () => {
  const tls = () => ({ ca: certificates.ca, servername: "localhost" });

  it.each([
    [["h2"], "h2"],
    [["http/1.1"], "http/1.1"],
    [["http/1.1", "h2"], "h2"],
    [[], false],
  ] as const)("with ALPN %j negotiates %s", async (offered, chosen) => {
    await using listener = await open({ tls: certificates.server });
    const { port } = listener.address as { port: number };
    const socket = connectTls({ ...tls(), port, ALPNProtocols: [...offered] });
    await once(socket, "secureConnect");
    expect(socket.alpnProtocol).toBe(chosen);
    socket.destroy();
  });

  it.each([
    ["HTTP/1.1", request],
    ["HTTP/2", preface],
  ])("refuses cleartext %s", async (_, bytes) => {
    const reported = errors();
    await using listener = await open({ tls: certificates.server, onError: reported.add });
    using client = await connectRaw(listener.address);
    client.write(bytes);
    await expect(client.closed).resolves.toBe("");
    expect(String(reported.all[0])).toContain("did not begin with TLS");
  });

  it("serves cleartext and TLS on one port when asked to", async () => {
    await using listener = await open({ tls: { ...certificates.server, allowCleartext: true } });
    using client = await connectRaw(listener.address);
    client.write(request);
    await client.until("1.1 undefined");
    const { port } = listener.address as { port: number };
    const session = connectHttp2(`https://localhost:${port}`, tls());
    const stream = session.request({ ":path": "/" }).setEncoding("utf8");
    expect((await once(stream, "data"))[0]).toBe("2.0 TLSv1.3");
    session.destroy();
  });

  it("refuses a version of TLS below minVersion", async () => {
    const reported = errors();
    await using listener = await open({
      tls: { ...certificates.server, minVersion: "TLSv1.3" },
      onError: reported.add,
    });
    const { port } = listener.address as { port: number };
    const socket = connectTls({ ...tls(), port, maxVersion: "TLSv1.2" });
    await expect(once(socket, "secureConnect")).rejects.toThrow();
    await reported.find((error) => error instanceof Error && error.message.includes("unsupported protocol"));
  });

  it("refuses TLS where none is configured", async () => {
    const reported = errors();
    await using listener = await open({ onError: reported.add });
    const { port } = listener.address as { port: number };
    const socket = connectTls({ ...tls(), port });
    await expect(once(socket, "secureConnect")).rejects.toThrow();
    expect(String(reported.all[0])).toContain("which is not configured");
  });

  it("cuts a peer that stalls in the handshake, after headerTimeoutMs", async () => {
    const clock = new FakeClock();
    const reported = errors();
    await using listener = await open({ tls: certificates.server, clock, onError: reported.add });
    const asleep = clock.waitForSleep();
    using client = await connectRaw(listener.address);
    client.write("\u0016\u0003\u0001");
    await asleep;
    await clock.advance(10_000);
    await client.closed;
    expect(String(reported.all[0])).toContain("began no request within 10000 ms");
  });

  it.each([
    ["no TLS record", "\u0016 this is no TLS"],
    ["a handshake that is cut", "\u0016\u0003\u0001\u0000\u0005\u0001\u0000\u0000\u0001\u0000"],
  ])("reports %s", async (_, bytes) => {
    const reported = errors();
    await using listener = await open({ tls: certificates.server, onError: reported.add });
    using client = await connectRaw(listener.address);
    client.socket.end(Buffer.from(bytes, "latin1"));
    await client.closed;
    await reported.find((error) => error instanceof Error);
  });

  it("refuses a client certificate of another authority, and one that is lacking", async () => {
    const reported = errors();
    const { server, ca, stranger } = certificates;
    await using listener = await open({ tls: { ...server, ca, requestCert: true }, onError: reported.add });
    const { port } = listener.address as { port: number };
    for (const certificate of [stranger, {}]) {
      const socket = connectTls({ ...tls(), ...certificate, port });
      socket.on("error", () => {}); // the alert of the server, or the reset that follows it
      await new Promise((resolve) => socket.once("close", resolve));
    }
    expect(reported.all).toHaveLength(2);
    expect(String(reported.all[0])).toMatch(/client certificate not verified: UNABLE_TO_/);
  });
});
