import { once } from "node:events";
import { createServer } from "node:http";
import { connect, createServer as createHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Code, ConnectError } from "@connectrpc/connect";
import { type AuthEvent, authenticated, createTokenAuth, getAuth, type TokenAuthOptions } from "@cpg/auth";
import { describe, expect, it } from "vitest";

const bearer = { authorization: "Bearer good" };

/** A plain server that answers with the identity of its caller. */
async function start(options: TokenAuthOptions, optional = false) {
  const events: AuthEvent[] = [];
  const handler = authenticated(
    createTokenAuth(options),
    (request, response) => void response.end(getAuth(request)?.identity ?? "nobody"),
    { optional, onEvent: (event) => events.push(event) },
  );
  const server = createServer(handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/path?secret=1`;
  return {
    events,
    async get(headers: Record<string, string> = {}) {
      const response = await fetch(url, { headers: { ...headers, connection: "close" } });
      return [response.status, await response.text()];
    },
    [Symbol.asyncDispose]: async () => void (await new Promise((resolve) => server.close(resolve))),
  };
}

describe("a plain Node handler behind authenticated", () => {
  const key = { identity: "ann", value: "good" };

  it.each<[string, TokenAuthOptions]>([
    ["at once", { keys: [key] }],
    ["later", { verify: async (value) => (value === "good" ? key : undefined) }],
  ])("knows who calls, %s", async (_, options) => {
    await using server = await start(options);
    expect(await server.get(bearer)).toEqual([200, "ann"]);
    const refusal = '{"code":"unauthenticated","message":"the call carries no valid credential"}';
    expect(await server.get()).toEqual([401, refusal]);
    expect(await server.get({ authorization: "Bearer bad" })).toEqual([401, refusal]);
    expect(server.events).toMatchObject([
      { kind: "proved", identity: "ann", path: "/path", address: "127.0.0.1" },
      { kind: "absent", path: "/path" },
      { kind: "refused", reason: "unknown credential" },
    ]);
  });

  it("lets nobody through when optional", async () => {
    await using server = await start({ keys: [key] }, true);
    expect(await server.get()).toEqual([200, "nobody"]);
  });

  it("answers 503 while nobody can tell", async () => {
    const verify = () => Promise.reject(new ConnectError("down", Code.Unavailable));
    await using server = await start({ verify });
    const [status, body] = await server.get(bearer);
    expect([status, body]).toEqual([
      503,
      '{"code":"unavailable","message":"credentials cannot be checked at the moment"}',
    ]);
  });

  it("works over HTTP/2", async () => {
    const auth = createTokenAuth({ keys: [key] });
    const server = createHttp2(
      authenticated(auth, (request, response) => void response.end(getAuth(request)?.identity ?? "nobody")),
    ).listen(0, "127.0.0.1");
    await once(server, "listening");
    const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    expect(await text(session.request({ ":path": "/", ...bearer }))).toBe("ann");
    session.close();
    server.close();
  });
});
