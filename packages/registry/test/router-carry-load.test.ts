import { once } from "node:events";
import { request } from "node:http";
import type { ClientHttp2Stream, ServerHttp2Stream } from "node:http2";
import { describe, expect, it } from "vitest";
import { answerOf, openHttp2Session } from "./support/callers.ts";
import { startCarryingHost } from "./support/carrying-host.ts";
import { startHttp1Provider, startHttp2Provider } from "./support/providers.ts";
import { createQueue } from "./support/queue.ts";

const mebibyte = 1024 * 1024;
const hundredMegabytes = 100 * 1000 * 1000;
const chunk = Buffer.alloc(64 * 1024, "x");

type Stream = ClientHttp2Stream | ServerHttp2Stream;

/** Writes until the stream takes no more for now; what has left its own buffers are `sent` bytes. */
function createWriter(stream: Stream, total: number) {
  let written = 0;
  const blocked = createQueue<number>();
  const write = (): void => {
    while (written < total) {
      const part = chunk.subarray(0, Math.min(chunk.length, total - written));
      written += part.length;
      if (!stream.write(part)) {
        stream.once("drain", write);
        return;
      }
    }
    stream.end();
  };
  write();
  return {
    get sent() {
      return written - stream.bufferSize;
    },
    blocked,
  };
}

/** Reads to the end; tells the most that was ever under way between the two. */
async function readAll(stream: Stream, sentSoFar: () => number): Promise<{ bytes: number; mostHeld: number }> {
  let bytes = 0;
  let mostHeld = 0;
  for await (const part of stream) {
    mostHeld = Math.max(mostHeld, sentSoFar() - bytes);
    bytes += (part as Buffer).length;
  }
  return { bytes, mostHeld };
}

/** Two of them are worth nothing without a turn of the event loop in between: a window may still be on its way. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe("a router under load", () => {
  it("carries 100 MB up and down at a time, and holds less than 1 MiB of each", { timeout: 60_000 }, async () => {
    const streams = createQueue<ServerHttp2Stream>();
    await using provider = await startHttp2Provider((stream) => streams.put(stream));
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const rssBefore = process.memoryUsage.rss();
    const near = caller.open({ ":path": "/to/x" });
    const far = await streams.take();
    far.respond({ ":status": 200 });
    const up = createWriter(near, hundredMegabytes);
    const down = createWriter(far, hundredMegabytes);
    const [read, answered] = await Promise.all([readAll(far, () => up.sent), readAll(near, () => down.sent)]);
    const rssGrowth = process.memoryUsage.rss() - rssBefore;
    console.log(
      `100 MB each way: most under way ${read.mostHeld} up, ${answered.mostHeld} down; RSS of all three parties grew by ${rssGrowth}`,
    );
    expect([read.bytes, answered.bytes]).toEqual([hundredMegabytes, hundredMegabytes]);
    expect(Math.max(read.mostHeld, answered.mostHeld)).toBeLessThan(mebibyte);
    const exchange = await host.nextExchange();
    await host.nextEnd();
    expect([exchange.requestBytes, exchange.responseBytes]).toEqual([hundredMegabytes, hundredMegabytes]);
  });

  it.each([
    { direction: "up", pick: (near: Stream, far: Stream) => ({ from: near, to: far }) },
    { direction: "down", pick: (near: Stream, far: Stream) => ({ from: far, to: near }) },
  ])("lets a writer $direction wait for a reader that stalls, and both go on then", async ({ pick }) => {
    const streams = createQueue<ServerHttp2Stream>();
    await using provider = await startHttp2Provider((stream) => streams.put(stream));
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const near = caller.open({ ":path": "/to/x" });
    const far = await streams.take();
    far.respond({ ":status": 200 });
    await once(near, "response");
    const { from, to } = pick(near, far);

    // Nobody reads `to`. The writer gets rid of less and less, until it gets rid of nothing.
    const total = 8 * mebibyte;
    const writer = createWriter(from, total);
    let before = -1;
    let sameFor = 0;
    while (sameFor < 50) {
      await turns(10);
      sameFor = writer.sent === before ? sameFor + 1 : 0;
      before = writer.sent;
    }
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(mebibyte);

    // The other direction is not held up.
    to.write("beside");
    expect(String((await once(from, "data"))[0])).toBe("beside");

    let bytes = 0;
    for await (const part of to) bytes += (part as Buffer).length;
    expect(bytes).toBe(total);
  });

  it("of HTTP/1.1 lets a provider wait for a caller that does not read", async () => {
    const written = createQueue<number>();
    await using provider = await startHttp1Provider((_request, response) => {
      let bytes = 0;
      const write = (): void => {
        while (bytes < 64 * mebibyte) {
          bytes += chunk.length;
          if (!response.write(chunk)) {
            written.put(bytes);
            response.once("drain", write);
            return;
          }
        }
        response.end();
      };
      write();
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    const call = request({ host: "127.0.0.1", port: host.port, path: "/to/x", agent: false });
    call.end();
    const response = await answerOf(call);
    const exchange = await host.nextExchange();
    let before = -1;
    let sameFor = 0;
    while (sameFor < 50) {
      await turns(10);
      sameFor = exchange.responseBytes === before ? sameFor + 1 : 0;
      before = exchange.responseBytes;
    }
    // The kernel's buffers are not the router's.
    expect(before).toBeLessThan(32 * mebibyte);
    let bytes = 0;
    for await (const part of response) bytes += (part as Buffer).length;
    expect(bytes).toBe(64 * mebibyte);
    expect(await host.nextEnd()).toMatchObject({ kind: "answered", cut: undefined });
  });

  it("carries 1,000 streams at once, each with its own bytes", { timeout: 60_000 }, async () => {
    const count = 1_000;
    const streams: ServerHttp2Stream[] = [];
    const all = Promise.withResolvers<void>();
    await using provider = await startHttp2Provider((stream) => {
      streams.push(stream);
      if (streams.length === count) all.resolve();
      stream.respond({ ":status": 200 });
      stream.pipe(stream);
    });
    await using host = await startCarryingHost({ upstreams: [provider.upstream] });
    await using caller = await openHttp2Session(host.port);
    const calls = Array.from({ length: count }, (_, index) => ({
      text: `stream ${index}`,
      stream: caller.open({ ":path": "/to/x" }),
    }));
    for (const { stream, text } of calls) stream.write(text);
    const echoes = calls.map(async ({ stream }) => String((await once(stream, "data"))[0]));
    await all.promise; // all are open now
    expect(await Promise.all(echoes)).toEqual(calls.map(({ text }) => text));
    const rests = calls.map(async ({ stream }) => {
      let rest = "";
      for await (const part of stream) rest += part;
      return rest;
    });
    for (const { stream, text } of calls) stream.end(`end of ${text}`);
    expect(await Promise.all(rests)).toEqual(calls.map(({ text }) => `end of ${text}`));
    for (let call = 0; call < count; call++) {
      expect(await host.nextEnd()).toMatchObject({ kind: "answered", cut: undefined });
    }
    expect(host.errors).toEqual([]);
  });
});
