import { describe, expect, it } from "vitest";
import { startAttachHost } from "./support/attach-host.ts";
import { type RawAnswer, rawRpc, WIRES } from "./support/raw-rpc.ts";

type Host = Awaited<ReturnType<typeof startAttachHost>>;
type Headers = Readonly<Record<string, string>>;

const peer = { network: "tcp", address: "127.0.0.1", port: 1, tls: undefined } as const;

function registry(host: Host, method: string, body: object, headers: Headers, wire = WIRES[0]): Promise<RawAnswer> {
  return rawRpc(host.endpoint, wire ?? "gRPC", {
    path: `/connectplugin.v1.ServiceRegistry/${method}`,
    kind: method === "WatchService" ? "stream" : "unary",
    body: JSON.stringify(body),
    headers,
  });
}

function service(baseUrl: string, serviceType = "logger", more: Readonly<Record<string, string>> = {}) {
  return { serviceType, version: "1.0.0", endpointPath: "/", metadata: { base_url: baseUrl, ...more } };
}

describe("on the wire, a registration", () => {
  const own = "{host}";
  it.each<[baseUrl: string, code: string, httpStatus: number, message: RegExp]>([
    [`http://127.0.0.1:${own}`, "permission_denied", 403, /host itself/],
    [`http://localhost:${own}`, "permission_denied", 403, /host itself/],
    [`http://[::1]:${own}`, "permission_denied", 403, /host itself/],
    [`http://[::ffff:127.0.0.1]:${own}`, "permission_denied", 403, /host itself/],
    [`http://127.99.0.1:${own}/x`, "permission_denied", 403, /host itself/],
    ["http://192.0.2.1:80", "permission_denied", 403, /address that the plugin registers from/],
    ["http://169.254.169.254/latest", "permission_denied", 403, /address that the plugin registers from/],
    ["http://[64:ff9b::7f00:1]", "permission_denied", 403, /address that the plugin registers from/],
    ["http://rebound.test", "permission_denied", 403, /address that the plugin registers from/],
    ["http://127.0.0.1:1/connectplugin.v1.PluginControl", "permission_denied", 403, /connectplugin/],
    ["http://127.0.0.1:1/%63onnectplugin.v1.PluginControl/", "permission_denied", 403, /connectplugin/],
    ["http://127.0.0.1:1/a/../connectplugin.v1.X", "invalid_argument", 400, /segment/],
    ["http://127.0.0.1:1/a/%2e%2e/b", "invalid_argument", 400, /encoded/],
    ["http://127.0.0.1:1//", "invalid_argument", 400, /empty segment/],
    ["http://127.0.0.1:1/\u0000", "invalid_argument", 400, /NUL/],
    ["http://user:secret@127.0.0.1:1", "invalid_argument", 400, /user or password/],
    ["http://127.0.0.1:1?a", "invalid_argument", 400, /query or fragment/],
    ["http://127.0.0.1:1#a", "invalid_argument", 400, /query or fragment/],
    ["unix:/var/run/docker.sock", "invalid_argument", 400, /http:\/\/host:port/],
    ["memory:kv", "invalid_argument", 400, /http:\/\/host:port/],
    ["file:///etc/passwd", "invalid_argument", 400, /http:\/\/host:port/],
    ["http://2130706433:1", "invalid_argument", 400, /usual spelling/],
    ["http://0x7f.1:1", "invalid_argument", 400, /usual spelling/],
    ["http://0:1", "invalid_argument", 400, /usual spelling/],
    ["http://0.0.0.0:1", "invalid_argument", 400, /every address/],
    ["", "invalid_argument", 400, /http:\/\/host:port/],
    [`http://${"a".repeat(3_000)}`, "invalid_argument", 400, /at most 2048 bytes/],
    ["http://unknown.test", "unavailable", 503, /cannot be resolved/],
  ])("at %s is refused: %s, %i", async (baseUrl, code, httpStatus, message) => {
    await using host = await startAttachHost({
      upstreams: {
        async lookUp(name) {
          if (name === "localhost") return ["127.0.0.1", "::1"];
          if (name === "rebound.test") return ["10.0.0.1", "0.0.0.0"];
          throw new Error("ENOTFOUND");
        },
      },
    });
    const { port } = new URL(host.endpoint);
    const { headers } = host.issue({ selfId: "p", peer });
    const body = service(baseUrl.replace(own, port));
    for (const wire of WIRES) {
      const answer = await registry(host, "RegisterService", body, headers, wire);
      expect(answer).toMatchObject({ code, message: expect.stringMatching(message) });
      expect(answer.message).not.toMatch(/secret|10\.0\.0\.1/);
    }
    const plain = await registry(host, "RegisterService", body, headers);
    expect(plain.httpStatus).toBe(httpStatus);
    expect(host.store.revision).toBe(0);
    expect(host.registered()).toEqual([]);
  });

  it("from this machine is taken at any other port of it", async () => {
    await using host = await startAttachHost();
    const { headers } = host.issue({ selfId: "p", peer });
    for (const baseUrl of ["http://127.0.0.1:1", "http://[::1]:2", "http://localhost:3", "https://127.0.0.1:4/base/"]) {
      const answer = await registry(host, "RegisterService", service(baseUrl), headers);
      expect(answer).toMatchObject({ code: "ok", httpStatus: 200 });
    }
    expect(host.store.ofType("logger").map(({ upstream }) => upstream)).toMatchObject([
      { kind: "http", secure: true, address: "127.0.0.1", port: 4, basePath: "/base", http: "auto" },
    ]);
  });
});

describe("on the wire, policy", () => {
  const declares = { provides: [{ type: "logger", version: "1.0.0" }], requires: [{ type: "clock" }] };

  it.each(WIRES)("lets a plugin do what it declared and no more, over %s", async (wire) => {
    await using host = await startAttachHost();
    const { headers } = host.issue({ selfId: "p", peer, declares });
    const ask = async (method: string, body: object) => (await registry(host, method, body, headers, wire)).code;
    expect(await ask("RegisterService", service("http://127.0.0.1:1", "clock"))).toBe("permission_denied");
    expect(host.store.revision).toBe(0);
    expect(await ask("RegisterService", service("http://127.0.0.1:1", "logger"))).toBe("ok");
    expect(await ask("DiscoverService", { serviceType: "clock" })).toBe("not_found");
    expect(await ask("DiscoverService", { serviceType: "logger" })).toBe("permission_denied");
    expect(await ask("WatchService", { serviceType: "logger" })).toBe("permission_denied");
  });

  it("of a strict host lets a plugin that declares nothing do nothing", async () => {
    await using host = await startAttachHost({ access: { strict: true } });
    const { headers } = host.issue({ selfId: "p", peer });
    const taken = host.issue({ selfId: "q", peer, declares });
    const ask = async (method: string, body: object) => (await registry(host, method, body, headers)).httpStatus;
    expect(await ask("RegisterService", service("http://127.0.0.1:1"))).toBe(403);
    expect(await ask("DiscoverService", { serviceType: "logger" })).toBe(403);
    expect(host.store.revision).toBe(0);
    const first = await registry(host, "RegisterService", service("http://127.0.0.1:1"), taken.headers);
    expect(first.code).toBe("ok");
    const other = host.issue({ selfId: "r", peer, declares });
    const second = await registry(host, "RegisterService", service("http://127.0.0.1:2"), other.headers);
    expect(second).toMatchObject({
      code: "permission_denied",
      message: expect.stringMatching(/another plugin provides/),
    });
    expect(host.registered()).toEqual(["logger 1.0.0 q /"]);
  });
});
