import { Code, ConnectError, createClient, createContextKey, createContextValues } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { Logger } from "../gen/capability/logger/v1/logger_pb.ts";
import { createRoutedTransport, rerouteCalls } from "./routed-transport.ts";

const ownKey = createContextKey("");

/** Writes down where calls go, and sends none. */
function recorder() {
  const calls: { readonly path: string; readonly own: string }[] = [];
  const transport = createConnectTransport({
    baseUrl: "http://host.test",
    httpVersion: "1.1",
    interceptors: [
      rerouteCalls,
      () => async (request) => {
        calls.push({ path: new URL(request.url).pathname, own: request.contextValues.get(ownKey) });
        throw new ConnectError("not sent", Code.Unavailable);
      },
    ],
  });
  return { calls, transport };
}

describe("createRoutedTransport", () => {
  it("sends calls below its prefix, and leaves the values of their caller as they were", async () => {
    const { calls, transport } = recorder();
    const routed = createClient(Logger, createRoutedTransport(transport, "/services/logger/-"));
    const contextValues = createContextValues().set(ownKey, "mine");
    await routed.log({}, { contextValues }).catch(() => {});
    await createClient(Logger, transport)
      .log({}, { contextValues })
      .catch(() => {});
    await routed.log({}).catch(() => {});
    expect(calls).toEqual([
      { path: "/services/logger/-/Log", own: "mine" },
      { path: "/capability.logger.v1.Logger/Log", own: "mine" },
      { path: "/services/logger/-/Log", own: "" },
    ]);
  });

  it.each([
    "",
    "services",
    "/services/",
    "//services",
    "/services/../x",
    "/services/./x",
    "/services/.",
    "/a?b",
    "/a%2fb",
    "/a\nb",
  ])("refuses the prefix %j", (prefix) => {
    expect(() => createRoutedTransport(recorder().transport, prefix)).toThrow(TypeError);
  });
});
