import { create } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { definePlugin } from "../definition/plugin-definition.ts";
import { HealthCheckRequestSchema, HealthService } from "../gen/connectplugin/health/v1/health_pb.ts";
import { withMethodTimeouts } from "./method-timeouts.ts";

const { check, watch } = HealthService.method;
const plugin = (timeoutsMs: { check?: number; watch?: number }) =>
  definePlugin({ name: "health", version: "1.0.0", service: HealthService, timeoutsMs });

function recording(): { given: unknown[]; transport: Transport } {
  const given: unknown[] = [];
  const stop = new Error("recorded");
  return {
    given,
    transport: {
      unary(method, _signal, timeoutMs) {
        given.push(method, timeoutMs);
        return Promise.reject(stop);
      },
      stream(method, _signal, timeoutMs) {
        given.push(method, timeoutMs);
        return Promise.reject(stop);
      },
    },
  };
}

describe("withMethodTimeouts", () => {
  it.each([
    { of: { check: 70 }, given: undefined, unary: 70, stream: undefined },
    { of: { watch: 80 }, given: undefined, unary: undefined, stream: 80 },
    { of: { check: 70, watch: 80 }, given: 5, unary: 5, stream: 5 },
    { of: { check: 70, watch: 80 }, given: Infinity, unary: Infinity, stream: Infinity },
  ])("$of, the call says $given: unary $unary, stream $stream", async ({ of, given, unary, stream }) => {
    const inner = recording();
    const { transport } = { transport: withMethodTimeouts(plugin(of), inner.transport) };
    const request = create(HealthCheckRequestSchema);
    await transport.unary(check, undefined, given, undefined, request).catch(() => {});
    await transport.stream(watch, undefined, given, undefined, requests()).catch(() => {});
    expect(inner.given).toEqual([check, unary, watch, stream]);
  });

  it("is the transport itself for a plugin without time-outs", () => {
    const { transport } = recording();
    expect(withMethodTimeouts(plugin({}), transport)).toBe(transport);
  });
});

async function* requests() {
  yield create(HealthCheckRequestSchema);
}
