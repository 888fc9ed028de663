import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { systemClock } from "@cpg/resilience";
import { expect, it } from "vitest";
import { createDialer } from "../src/wire/dial.ts";
import { parseEndpoint } from "../src/wire/endpoint.ts";
import { createHttp2Sessions } from "../src/wire/http2-sessions.ts";

it("a call whose session is replaced before it is sent travels over the next one", async () => {
  const server = createServer((_, response) => response.end()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const common = { endpoint: parseEndpoint(origin), connectTimeoutMs: 5_000, clock: systemClock };
  const dialer = createDialer({ ...common, tls: undefined, secureContext: undefined, alpn: "h2" });
  const times = { pingIntervalMs: 0, pingTimeoutMs: 5_000, idleTimeoutMs: 60_000 };
  const sessions = createHttp2Sessions({ ...common, ...times, origin, dialer });
  const call = async () => {
    const stream = await sessions.request("GET", "/", {});
    const closed = once(stream.resume(), "close");
    const [headers] = await once(stream, "response");
    await closed;
    return headers[":status"];
  };
  expect(await call()).toBe(200);
  const chosen = call();
  sessions.renew();
  expect(await chosen).toBe(200);
  await dialer.close(new Error("the test is over"));
  server.close();
});
