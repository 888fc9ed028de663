import { createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { createEcho, EchoService } from "../../test/support/echo-service.ts";
import { createRetirableCalls } from "./retirable-calls.ts";
import { createServiceClient } from "./service-client.ts";

function openCalls() {
  let closes = 0;
  const transport = createRouterTransport(({ service }) => service(EchoService, createEcho()));
  const calls = createRetirableCalls({
    transport,
    httpVersion: "2",
    async close() {
      closes++;
    },
  });
  return { calls, client: createServiceClient(EchoService, calls.transport), closes: () => closes };
}

async function* endless(signal: AbortSignal) {
  yield { text: "a" };
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

describe("retired calls", () => {
  it("close at once when nothing is in flight", async () => {
    const t = openCalls();
    await t.client.unary({});
    expect(t.closes()).toBe(0);
    t.calls.retire();
    await t.calls.closed;
    expect(t.closes()).toBe(1);
  });

  it.each([
    { end: "was read to its end", leave: async (reader: AsyncIterator<unknown>) => void (await reader.next()) },
    { end: "was left", leave: async (reader: AsyncIterator<unknown>) => void (await reader.return?.()) },
  ])("close when a stream $end", async ({ leave }) => {
    const t = openCalls();
    const reader = t.client.serverStream({ count: 1 })[Symbol.asyncIterator]();
    await reader.next();
    t.calls.retire();
    expect(t.closes()).toBe(0);
    await leave(reader);
    await t.calls.closed;
    expect(t.closes()).toBe(1);
  });

  it("close when a stream that nobody reads is canceled", async () => {
    const t = openCalls();
    const abort = new AbortController();
    const stream = t.client.bidiStream(endless(abort.signal), { signal: abort.signal });
    await stream[Symbol.asyncIterator]().next();
    t.calls.retire();
    expect(t.closes()).toBe(0);
    abort.abort(new Error("enough"));
    await t.calls.closed;
  });

  it("close when a call fails", async () => {
    const t = openCalls();
    const failing = t.client.unary({}, { signal: AbortSignal.abort(new Error("enough")) });
    t.calls.retire();
    await expect(failing).rejects.toThrow("enough");
    await t.calls.closed;
  });
});
