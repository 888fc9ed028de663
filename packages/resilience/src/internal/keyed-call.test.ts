import { create } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { createContextValues, type UnaryRequest } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { EchoService } from "../../test/fixtures/echo-service.ts";
import { type CallKey, lookUpByCall, resolveCallKey } from "./keyed-call.ts";
import { createKeyedStore } from "./keyed-store.ts";

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

describe("lookUpByCall", () => {
  function setUp(key: CallKey, maxKeys = 10) {
    const made: string[] = [];
    const create = (key: string) => {
      made.push(key);
      return { key };
    };
    const store = createKeyedStore({ maxKeys, create, isIdle: () => true });
    return { made, store, find: lookUpByCall(key, resolveCallKey(key), store) };
  }

  it("finds the value of the key, made once, for one method and URL after the other", () => {
    const { made, find } = setUp("endpoint");
    const set = request("set", "http://b/cpg.test.v1.EchoService/Set");
    const found = [
      request("get", `http://a/${path}`),
      request("get", `http://a/${path}`),
      request("get", `http://b/${path}`),
      set,
      request("get", `http://a/${path}`),
    ].map((call) => find(call).key);
    expect(found).toEqual(["http://a", "http://a", "http://b", "http://b", "http://a"]);
    expect(made).toEqual(["http://a", "http://b"]);
  });

  it("tells apart methods at one URL", () => {
    const { find } = setUp("method");
    expect([find(request("get", "http://a/")).key, find(request("set", "http://a/")).key]).toEqual([
      path,
      "cpg.test.v1.EchoService/Set",
    ]);
  });

  it("does not find a value that the store has forgotten", () => {
    const { made, store, find } = setUp("endpoint", 1);
    const first = find(request("get", `http://a/${path}`));
    store.get("other");
    expect(find(request("get", `http://a/${path}`))).not.toBe(first);
    expect(made).toEqual(["http://a", "other", "http://a"]);
  });

  it("counts as use", () => {
    const { store, find } = setUp("endpoint", 2);
    find(request("get", `http://a/${path}`));
    store.get("b");
    find(request("get", `http://a/${path}`));
    store.get("c");
    expect([...store.entries()].map(([key]) => key)).toEqual(["http://a", "c"]);
  });

  it("asks a function of the user every time", () => {
    let count = 0;
    const { find } = setUp(() => `${count++}`);
    expect([find(request("get", "http://a/")).key, find(request("get", "http://a/")).key]).toEqual(["0", "1"]);
  });
});
