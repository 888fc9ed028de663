import { Code, createClient, createRouterTransport, type Transport } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { CapabilityBroker } from "../gen/connectplugin/v1/broker_pb.ts";
import { createFailoverTransport } from "./failover-transport.ts";
import type { Connected } from "./open-connection.ts";

/** A connection that notes the time-outs with which calls are sent over it. */
function notingConnection(): { readonly timeouts: (number | undefined)[]; readonly connected: Connected } {
  const timeouts: (number | undefined)[] = [];
  const inner = createRouterTransport(({ service }) => {
    service(CapabilityBroker, { requestCapability: () => ({}) });
  });
  const transport: Transport = {
    unary(method, signal, timeoutMs, ...rest) {
      timeouts.push(timeoutMs);
      return inner.unary(method, signal, undefined, ...rest);
    },
    stream: inner.stream,
  };
  const calls = { transport, httpVersion: undefined, close: async () => {} };
  const connection = {
    endpoint: "memory",
    httpVersion: undefined,
    appProtocolVersion: 1,
    plugins: new Map(),
    serverMetadata: {},
    capabilities: [],
    identity: undefined,
    http2: false,
  };
  return { timeouts, connected: { calls, connection } };
}

describe("the time-out of a call over several endpoints", () => {
  it.each([0, -1, undefined])("%s is none, while there is no connection yet too", async (timeoutMs) => {
    const { timeouts, connected } = notingConnection();
    const transport = createFailoverTransport({
      current: () => undefined,
      connected: async () => connected,
      onUnreached() {},
      clock: new FakeClock(),
    });
    await createClient(CapabilityBroker, transport).requestCapability({}, timeoutMs === undefined ? {} : { timeoutMs });
    expect(timeouts).toEqual([timeoutMs]);
  });

  it("is what is left of it once there is a connection, and nothing is sent when nothing is left", async () => {
    const { timeouts, connected } = notingConnection();
    const clock = new FakeClock();
    let waitMs = 300;
    const transport = createFailoverTransport({
      current: () => undefined,
      async connected() {
        await clock.advance(waitMs);
        return connected;
      },
      onUnreached() {},
      clock,
    });
    const broker = createClient(CapabilityBroker, transport);
    await broker.requestCapability({}, { timeoutMs: 1_000 });
    waitMs = 1_000;
    await expect(broker.requestCapability({}, { timeoutMs: 1_000 })).rejects.toMatchObject({
      code: Code.DeadlineExceeded,
    });
    expect(timeouts).toEqual([700]);
  });
});
