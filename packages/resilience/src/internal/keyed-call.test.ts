import { create } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { createContextValues, type UnaryRequest } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { EchoService } from "../../test/fixtures/echo-service.ts";
import { type CallKey, resolveCallKey } from "./keyed-call.ts";

function request(name: "get" | "set", url: string): UnaryRequest {
  return {
    stream: false,
    service: EchoService,
    method: EchoService.method[name],
    message: create(StringValueSchema),
    requestMethod: "POST",
    url,
    header: new Headers(),
    contextValues: createContextValues(),
    signal: new AbortController().signal,
  };
}

const path = "cpg.test.v1.EchoService/Get";

describe("resolveCallKey", () => {
  it.each<{ key: CallKey; url: string; expected: string }>([
    { key: "method", url: `http://a/${path}`, expected: path },
    { key: "service", url: `http://a/${path}`, expected: "cpg.test.v1.EchoService" },
    { key: "endpoint", url: `http://a:80/${path}`, expected: "http://a:80" },
    { key: "endpoint", url: `http://a/services/kv/-/${path}`, expected: "http://a/services/kv/-" },
    { key: "endpoint", url: `http://a/${path}?x=1`, expected: "http://a" },
    { key: "endpoint", url: "http://a/elsewhere", expected: "http://a/elsewhere" },
    { key: ({ url }) => `own ${url}`, url: "http://a/b", expected: "own http://a/b" },
  ])("$key of $url is $expected", ({ key, url, expected }) => {
    const keyOf = resolveCallKey(key);
    expect([keyOf(request("get", url)), keyOf(request("get", url))]).toEqual([expected, expected]);
  });

  it("tells apart the methods of one endpoint, and the endpoints of one method, at every call", () => {
    const methodOf = resolveCallKey("method");
    expect([methodOf(request("get", "http://a/")), methodOf(request("set", "http://a/"))]).toEqual([
      path,
      "cpg.test.v1.EchoService/Set",
    ]);
    const endpointOf = resolveCallKey("endpoint");
    const seen = ["a", "b", "a"].map((host) => endpointOf(request("get", `http://${host}/${path}`)));
    expect(seen).toEqual(["http://a", "http://b", "http://a"]);
  });

  it("refuses an unknown name", () => {
    const unknown: unknown = "host";
    expect(() => resolveCallKey(unknown as CallKey)).toThrow(
      new TypeError('key must be "method", "service", "endpoint" or a function, got host'),
    );
  });
});
