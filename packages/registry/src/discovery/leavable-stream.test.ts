import { describe, expect, it } from "vitest";
import { leavableStream } from "./leavable-stream.ts";

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** A stream of one value that then waits for its signal. It writes down how it ends. */
function oneValue(parent?: AbortSignal) {
  const log: string[] = [];
  const stream = leavableStream(async function* (signal) {
    try {
      yield 1;
      await aborted(signal);
    } finally {
      log.push("ended");
    }
  }, parent);
  return { log, stream };
}

const end = { done: true, value: undefined };

describe("a stream that can be left", () => {
  it("ends when its reader leaves the loop", async () => {
    const { log, stream } = oneValue();
    for await (const value of stream) {
      expect(value).toBe(1);
      break;
    }
    expect(log).toEqual(["ended"]);
  });

  it("ends when its reader leaves while a read waits, which is then done as well", async () => {
    const { log, stream } = oneValue();
    const reader = stream[Symbol.asyncIterator]();
    await reader.next();
    const read = reader.next();
    expect(await reader.return?.()).toEqual(end);
    expect(await read).toEqual(end);
    expect(log).toEqual(["ended"]);
  });

  it("fails with the reason of its signal", async () => {
    const caller = new AbortController();
    const { log, stream } = oneValue(caller.signal);
    const reader = stream[Symbol.asyncIterator]();
    await reader.next();
    const read = reader.next();
    caller.abort("enough");
    await expect(read).rejects.toBe("enough");
    expect(log).toEqual(["ended"]);
  });

  it("fails with what its generator throws", async () => {
    const reader = leavableStream<number>(async function* () {
      yield 1;
      throw new Error("broken");
    })[Symbol.asyncIterator]();
    await reader.next();
    await expect(reader.next()).rejects.toThrow("broken");
  });

  it("is another one for each reader", async () => {
    const { log, stream } = oneValue();
    const [first, second] = [stream[Symbol.asyncIterator](), stream[Symbol.asyncIterator]()];
    await first.next();
    await first.return?.();
    expect(await second.next()).toEqual({ done: false, value: 1 });
    await second.return?.();
    expect(log).toEqual(["ended", "ended"]);
  });
});
