import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { Logger } from "../gen/capability/logger/v1/logger_pb.ts";
import { keepCredentials } from "./authenticated-transport.ts";
import { createGrantedTransport, presentGrants } from "./granted-transport.ts";

/** Writes down what calls look like, and sends none. */
function recorder(baseUrl: string, own: Interceptor = (next) => next) {
  const calls: unknown[] = [];
  const transport = createConnectTransport({
    baseUrl,
    httpVersion: "1.1",
    interceptors: [
      own,
      keepCredentials,
      presentGrants,
      () =>
        async ({ url, header }) => {
          const of = (name: string) => header.get(name);
          calls.push([
            new URL(url).pathname,
            of("authorization"),
            of("x-plugin-runtime-id"),
            of("x-plugin-runtime-token"),
          ]);
          throw new ConnectError("not sent", Code.Unavailable);
        },
    ],
  });
  return { calls, identity: { transport, runtimeId: "kv-1", runtimeToken: "mine" } };
}

describe("createGrantedTransport", () => {
  it.each([
    { baseUrl: "http://host.test", before: "" },
    { baseUrl: "http://host.test/below", before: "/below" },
  ])("sends calls below its path at $baseUrl, with the grant and who holds it", async ({ baseUrl, before }) => {
    const { calls, identity } = recorder(baseUrl);
    const transport = createGrantedTransport(() => identity, {
      path: "/capabilities/logger/g_1==",
      bearerToken: "lent",
    });
    await createClient(Logger, transport)
      .log({})
      .catch(() => {});
    const path = `${before}/capabilities/logger/g_1==/capability.logger.v1.Logger/Log`;
    expect(calls).toEqual([[path, "Bearer lent", "kv-1", "mine"]]);
  });

  it("shows the grant's token to no other interceptor, and takes no Authorization from one", async () => {
    const seen: (string | null)[] = [];
    const { calls, identity } = recorder("http://host.test", (next) => (request) => {
      seen.push(request.header.get("authorization"));
      request.header.set("authorization", "Bearer another");
      return next(request);
    });
    const transport = createGrantedTransport(() => identity, { path: "/capabilities/x/1", bearerToken: "lent" });
    await createClient(Logger, transport)
      .log({})
      .catch(() => {});
    expect(seen).toEqual([null]);
    expect(calls).toEqual([[expect.any(String), "Bearer lent", "kv-1", "mine"]]);
  });

  it.each(["", "/", "capabilities/x", "/a/../b", "/a/.", "/a?b", "/a%2fb", "//host/a"])(
    "refuses the path %j",
    (path) => {
      expect(() =>
        createGrantedTransport(() => recorder("http://a.test").identity, { path, bearerToken: "t" }),
      ).toThrow(TypeError);
    },
  );

  it.each(["", "a b", "a\nb", "ä"])("refuses the token %j, without repeating it", (bearerToken) => {
    const make = () => createGrantedTransport(() => recorder("http://a.test").identity, { path: "/a", bearerToken });
    expect(make).toThrow(/^bearerToken must be visible ASCII characters$/);
  });
});
