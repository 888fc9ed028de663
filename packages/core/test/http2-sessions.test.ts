import { once } from "node:events";
import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { systemClock } from "@cpg/resilience";
import { expect, it } from "vitest";
import { createDialer } from "../src/wire/dial.ts";
import { parseEndpoint } from "../src/wire/endpoint.ts";
import { createHttp2Sessions } from "../src/wire/http2-sessions.ts";

/** A server, and sessions to it. */
async function startSessions({ idleTimeoutMs = 60_000 } = {}) {
  const server = createServer((_, response) => response.end()).listen(0, "127.0.0.1");
  const served = new Set<ServerHttp2Session>();
  server.on("session", (session) => served.add(session));
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const common = { endpoint: parseEndpoint(origin), connectTimeoutMs: 5_000, clock: systemClock };
  const dialer = createDialer({ ...common, tls: undefined, secureContext: undefined, alpn: "h2" });
  const times = { pingIntervalMs: 0, pingTimeoutMs: 5_000, idleTimeoutMs };
  let losses = 0;
  const lost = Promise.withResolvers<void>();
  const onLost = () => {
    losses++;
    lost.resolve();
  };
  const sessions = createHttp2Sessions({ ...common, ...times, origin, dialer, onLost });
  return {
    served,
    sessions,
    lost: lost.promise,
    losses: () => losses,
    async call() {
      const stream = await sessions.request("GET", "/", {});
      const closed = once(stream.resume(), "close");
      const [headers] = await once(stream, "response");
      await closed;
      return headers[":status"];
    },
    async [Symbol.asyncDispose]() {
      await dialer.close(new Error("the test is over"));
      server.close();
    },
  };
}

it("a call whose session is replaced before it is sent travels over the next one", async () => {
  await using t = await startSessions();
  expect(await t.call()).toBe(200);
  const chosen = t.call();
  t.sessions.renew();
  expect(await chosen).toBe(200);
});

it.each<{ how: string; end: (session: ServerHttp2Session) => void }>([
  { how: "broke", end: (session) => session.destroy() },
  { how: "was told to go away", end: (session) => session.goaway() },
  { how: "was closed by the server", end: (session) => session.close() },
])("an idle session that $how is told of, once", async ({ end }) => {
  await using t = await startSessions();
  await t.call();
  for (const session of t.served) end(session);
  await t.lost;
  expect(await t.call()).toBe(200); // over another one
  expect(t.losses()).toBe(1);
});

it.each(["renewed", "idle for too long"])("a session that this side ends, as it is %s, is not lost", async (why) => {
  await using t = await startSessions({ idleTimeoutMs: 50 });
  await t.call();
  const [session] = t.served;
  const closed = session && once(session, "close");
  if (why === "renewed") t.sessions.renew();
  await closed;
  expect(await t.call()).toBe(200);
  expect(t.losses()).toBe(0);
});
