import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { type RawAnswer, type RawCall, rawRpc, WIRES } from "./support/raw-rpc.ts";
import { type RegistryHost, startRegistryHost } from "./support/registry-host.ts";

const registry = "/connectplugin.v1.ServiceRegistry";
const httpStatus: Readonly<Record<string, number>> = {
  ok: 200,
  invalid_argument: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  resource_exhausted: 429,
};

const valid = {
  register: { serviceType: "logger", version: "1.0.0", endpointPath: "/", metadata: { base_url: "http://a" } },
  unregister: { registrationId: "logger-1" },
  discover: { serviceType: "logger" },
  watch: { serviceType: "logger" },
  report: { state: "HEALTH_STATE_HEALTHY" },
};
type Rpc = keyof typeof valid;
const paths: Readonly<Record<Rpc, string>> = {
  register: `${registry}/RegisterService`,
  unregister: `${registry}/UnregisterService`,
  discover: `${registry}/DiscoverService`,
  watch: `${registry}/WatchService`,
  report: "/connectplugin.v1.PluginLifecycle/ReportHealth",
};

function callOf(rpc: Rpc, message: object, headers: Readonly<Record<string, string>>): RawCall {
  return { path: paths[rpc], kind: rpc === "watch" ? "stream" : "unary", body: JSON.stringify(message), headers };
}

/** A host on which one service is registered, by "owner". */
async function startWithOwner(clock?: FakeClock) {
  const host = await startRegistryHost({ clock });
  const owner = host.issue({ selfId: "owner" });
  const registered = await rawRpc(
    host.endpoint,
    "connect over HTTP/1.1",
    callOf("register", { ...valid.register, serviceType: "owned" }, owner.headers),
  );
  const { registrationId } = registered.results[0] as { registrationId: string };
  return { host, owner, registrationId };
}

/** Nothing that was refused has left a trace. */
function traces({ store, hub, reports, described, server }: RegistryHost) {
  const { revision } = store;
  return {
    revision,
    watches: hub.size,
    reports: reports.length,
    described: described.length,
    health: server.health.report(),
  };
}

function expectRefusal(answer: RawAnswer, wire: string, rpc: Rpc, code: string): void {
  const isPlain = wire.startsWith("connect") && rpc !== "watch";
  expect(answer).toMatchObject({ code, httpStatus: isPlain ? httpStatus[code] : 200, results: [] });
}

describe.each(WIRES)("%s", (wire) => {
  it("refuses every RPC to a caller without a valid identity, as unauthenticated, and nothing changes", async () => {
    const clock = new FakeClock();
    const { host, owner } = await startWithOwner(clock);
    await using _host = host;
    const expired = host.issue({ selfId: "late" });
    // What is registered stays when a token expires; who held it is nobody.
    await clock.advance(host.server.identities.ttlMs - 1);
    const other = host.issue({ selfId: "other" });
    const revoked = host.issue({ selfId: "revoked" });
    host.server.identities.revoke(revoked.id);
    await clock.advance(1);
    const before = traces(host);

    const callers: Record<string, Record<string, string>> = {
      "no identity": {},
      "an id alone": { "x-plugin-runtime-id": other.id },
      "a token alone": { authorization: other.headers.authorization ?? "" },
      "a wrong token": { ...other.headers, authorization: `Bearer ${"A".repeat(43)}` },
      "no bearer token": { ...other.headers, authorization: "Basic YTpi" },
      "someone else's id with one's own token": { ...other.headers, "x-plugin-runtime-id": owner.id },
      "an unknown id": { ...other.headers, "x-plugin-runtime-id": "nobody-1234" },
      "an oversized token": { ...other.headers, authorization: `Bearer ${"A".repeat(9_000)}` },
      "an expired token": expired.headers,
      "a revoked identity": revoked.headers,
    };
    for (const [title, headers] of Object.entries(callers)) {
      for (const rpc of Object.keys(valid) as Rpc[]) {
        const answer = await rawRpc(host.endpoint, wire, callOf(rpc, valid[rpc], headers));
        expect({ title, rpc, ...answer }).toMatchObject({ title, rpc, code: "unauthenticated", results: [] });
        expectRefusal(answer, wire, rpc, "unauthenticated");
      }
    }
    expect(traces(host)).toEqual(before);
    expect(host.asked.slice(1)).toEqual([]);
  });

  it("refuses to unregister what another plugin registered", async () => {
    const { host, registrationId } = await startWithOwner();
    await using _host = host;
    const other = host.issue({ selfId: "owner" });
    const before = traces(host);
    const answer = await rawRpc(host.endpoint, wire, callOf("unregister", { registrationId }, other.headers));
    expectRefusal(answer, wire, "unregister", "permission_denied");
    expect(traces(host)).toEqual(before);
  });

  it("refuses what policy forbids", async () => {
    const { host } = await startWithOwner();
    await using _host = host;
    const { headers } = host.issue({ selfId: "p" });
    const before = traces(host);
    for (const rpc of ["register", "discover", "watch"] as const) {
      const call = callOf(rpc, { ...valid[rpc], serviceType: "forbidden.one" }, headers);
      expectRefusal(await rawRpc(host.endpoint, wire, call), wire, rpc, "permission_denied");
    }
    expect(traces(host)).toEqual(before);
  });

  it("answers not_found for registrations and types that are not there", async () => {
    await using host = await startRegistryHost();
    const { headers } = host.issue({ selfId: "p" });
    for (const rpc of ["unregister", "discover"] as const) {
      expectRefusal(await rawRpc(host.endpoint, wire, callOf(rpc, valid[rpc], headers)), wire, rpc, "not_found");
    }
  });

  it("refuses malformed and oversized fields, naming the field, and nothing changes", async () => {
    const { host } = await startWithOwner();
    await using _host = host;
    const { headers } = host.issue({ selfId: "p" });
    const before = traces(host);
    const entries = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, ""]));
    const cases: [rpc: Rpc, field: string, change: object][] = [
      ...["", "a".repeat(129), "é".repeat(65), "1a", "a..b", "a/b", "a b", "a\0"].flatMap(
        (serviceType): [Rpc, string, object][] => [
          ["register", "service_type", { serviceType }],
          ["discover", "service_type", { serviceType }],
          ["watch", "service_type", { serviceType }],
        ],
      ),
      ...["", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0+build", "^1.0.0", `1.0.0-${"a".repeat(64)}`, "1.0.0\0"].map(
        (version): [Rpc, string, object] => ["register", "version", { version }],
      ),
      ...["1", ">=1.0.0", "1.0.0+b", "1.x", `1.0.0-${"a".repeat(64)}`].map((minVersion): [Rpc, string, object] => [
        "discover",
        "min_version",
        { minVersion },
      ]),
      ...["", "a/", "/a", "/../", "/a\\b/", "/a?b/", "/a#b/", "/a\n/", "/a\0/", `/${"a".repeat(256)}/`].map(
        (endpointPath): [Rpc, string, object] => ["register", "endpoint_path", { endpointPath }],
      ),
      ["register", "endpoint_path", { endpointPath: "/connectplugin.v1.PluginControl/" }],
      ["register", "metadata", { metadata: entries(101) }],
      ["register", "metadata key", { metadata: { ["k".repeat(257)]: "" } }],
      ["register", "metadata key", { metadata: { "1": "" } }],
      ["register", "metadata key", { metadata: { "": "" } }],
      ["register", "metadata[k]", { metadata: { k: "v".repeat(4097) } }],
      ["register", "metadata[k]", { metadata: { k: "\0" } }],
      ...["", "-1", "100.1", "101", "1e1", "0x1", " 1", "half", "1,5", "Infinity", "9".repeat(400)].map(
        (weight): [Rpc, string, object] => ["register", "metadata[weight]", { metadata: { weight } }],
      ),
      ...["0s", "0.999s", "-5s", "86401s"].map((lease): [Rpc, string, object] => ["register", "lease", { lease }]),
      ...["k".repeat(31), "k".repeat(513), `${"k".repeat(40)}\0`].map((instanceKey): [Rpc, string, object] => [
        "register",
        "instance_key",
        { instanceKey },
      ]),
      ["unregister", "registration_id", { registrationId: "r".repeat(257) }],
      ["unregister", "registration_id", { registrationId: "\0" }],
      ["watch", "epoch", { epoch: "e".repeat(65) }],
      ["watch", "epoch", { epoch: "\0" }],
      ["report", "state", { state: "HEALTH_STATE_UNSPECIFIED" }],
      ["report", "state", { state: 7 }],
      ["report", "reason", { reason: "r".repeat(4097) }],
      ["report", "reason", { reason: "\0" }],
      ["report", "unavailable_dependencies", { unavailableDependencies: Array(101).fill("logger") }],
      ["report", "unavailable_dependencies[1]", { unavailableDependencies: ["logger", "a/b"] }],
    ];
    for (const [rpc, field, change] of cases) {
      const answer = await rawRpc(host.endpoint, wire, callOf(rpc, { ...valid[rpc], ...change }, headers));
      expect({ change, ...answer }).toMatchObject({ change, code: "invalid_argument" });
      expectRefusal(answer, wire, rpc, "invalid_argument");
      expect(answer.message.startsWith(`${field} `), answer.message).toBe(true);
    }
    expect(traces(host)).toEqual(before);
  });

  it("refuses messages that are too large or malformed, and nothing changes", async () => {
    const { host } = await startWithOwner();
    await using _host = host;
    const { headers } = host.issue({ selfId: "p" });
    const before = traces(host);
    for (const rpc of Object.keys(valid) as Rpc[]) {
      const field = rpc === "unregister" ? "registrationId" : rpc === "report" ? "reason" : "serviceType";
      const large = callOf(rpc, { ...valid[rpc], [field]: "a".repeat(5 * 1024 * 1024) }, headers);
      expectRefusal(await rawRpc(host.endpoint, wire, large), wire, rpc, "resource_exhausted");
      const garbage = { ...callOf(rpc, {}, headers), body: "{" };
      expectRefusal(await rawRpc(host.endpoint, wire, garbage), wire, rpc, "invalid_argument");
    }
    expect(traces(host)).toEqual(before);
  });

  it("takes what is just within the limits", async () => {
    await using host = await startRegistryHost();
    const { headers } = host.issue({ selfId: "p" });
    const metadata = Object.fromEntries(Array.from({ length: 98 }, (_, index) => [`k${index}`, "v"]));
    for (const [index, weight] of ["0", "100", "12.5", "100.0"].entries()) {
      const answer = await rawRpc(
        host.endpoint,
        wire,
        callOf(
          "register",
          {
            serviceType: `${"a".repeat(127)}${index}`,
            version: "10.0.0-rc.1",
            endpointPath: `/${"a".repeat(254)}/`,
            metadata: { ...metadata, weight, [`K${"k".repeat(255)}`]: "v".repeat(4096) },
            lease: index % 2 === 0 ? "1s" : "86400s",
            instanceKey: "k".repeat(32),
          },
          headers,
        ),
      );
      expect(answer).toMatchObject({ code: "ok", httpStatus: 200 });
    }
    expect(host.store.types()).toHaveLength(4);
  });

  it("says that there are too many, with a retry delay, and nothing changes", async () => {
    await using host = await startRegistryHost({ storeLimits: { registrations: 1 } });
    const { headers } = host.issue({ selfId: "p" });
    await rawRpc(host.endpoint, wire, callOf("register", valid.register, headers));
    const before = traces(host);
    const call = callOf("register", { ...valid.register, serviceType: "storage" }, headers);
    const answer = await rawRpc(host.endpoint, wire, call);
    expectRefusal(answer, wire, "register", "resource_exhausted");
    expect(answer.headers).toMatchObject({ "retry-after": "5" });
    expect(traces(host)).toEqual(before);
  });
});
