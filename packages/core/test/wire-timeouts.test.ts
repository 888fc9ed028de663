import { describe, expect, it } from "vitest";
import { createEcho } from "./support/echo-service.ts";
import { echoClient, serveEcho } from "./support/started-server.ts";

const maxMs = 2 ** 31 - 1;

function serveTimeouts() {
  return serveEcho({
    impls: {
      echo: {
        ...createEcho(),
        unary: (_, { timeoutMs }) => ({ text: `${timeoutMs() === undefined ? "none" : "some"}` }),
      },
    },
  });
}

describe("a time-out of the caller", () => {
  const timeouts = [
    { timeoutMs: 60_000.5, text: "some" },
    { timeoutMs: 99_999_999.5, text: "some" },
    { timeoutMs: maxMs, text: "some" },
    { timeoutMs: Number.MAX_SAFE_INTEGER, text: "some" },
    { timeoutMs: Number.POSITIVE_INFINITY, text: "none" },
  ];
  const cases = (["connect", "grpc", "grpc-web"] as const).flatMap((protocol) =>
    timeouts.map((timeout) => ({ protocol, ...timeout })),
  );

  it.each(cases)("of $timeoutMs ms arrives over $protocol", async ({ protocol, timeoutMs, text }) => {
    await using server = await serveTimeouts();
    await using client = echoClient(server.endpoint, { protocol });
    const echo = await client.dispense("echo");
    expect((await echo.unary({}, { timeoutMs })).text).toBe(text);
  });
});

describe("a time-out that no timer can run", () => {
  it.each([
    { type: "application/json", name: "connect-timeout-ms", value: "9999999999" },
    { type: "application/grpc-web+json", name: "grpc-timeout", value: "99999999H" },
    { type: "application/grpc-web+json", name: "grpc-timeout", value: "99999999M" },
    { type: "application/grpc-web+json", name: "grpc-timeout", value: "99999999S" },
  ])("does not end the call at once: $name $value", async ({ type, name, value }) => {
    const signals: (number | undefined)[] = [];
    await using server = await serveEcho({
      impls: {
        echo: {
          ...createEcho(),
          unary(request, { timeoutMs }) {
            signals.push(timeoutMs());
            return request;
          },
        },
      },
    });
    const isJson = type === "application/json";
    const answer = await fetch(`${server.endpoint}/cpg.test.v1.EchoService/Unary`, {
      method: "POST",
      headers: { "content-type": type, [name]: value },
      body: isJson ? "{}" : new Uint8Array([0, 0, 0, 0, 2, 0x7b, 0x7d]),
    });
    await answer.arrayBuffer();
    expect(answer.status).toBe(200);
    expect(signals).toHaveLength(1);
    expect(signals[0]).toBeGreaterThan(maxMs - 600_000);
    expect(signals[0]).toBeLessThanOrEqual(maxMs);
  });
});
