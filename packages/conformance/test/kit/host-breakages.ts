import type { AnyResponse } from "../../src/kit/wire/dual-listener.ts";
import { type Breakage, type Json, type JsonAnswer, type Passing, sendJson, sendStream } from "./broken-server.ts";

type Asks = (request: Json, headers: Record<string, string>) => boolean;

/** Changes the good answer of an RPC. */
const change = (rpc: string, alter: (body: Json, request: Json) => void): Breakage => ({
  json(name, request, { status, body }) {
    if (name === rpc && status === 200) alter(body, request);
  },
});
/** Answers an RPC well where the good server refuses. */
const accepts = (rpc: string, asks: Asks, body: Json = { registrationId: "kit-broken" }): Breakage => ({
  json(name, request, answer, { headers }) {
    if (name === rpc && answer.status !== 200 && asks(request, headers)) Object.assign(answer, { status: 200, body });
  },
});
/** Refuses where the good server does not, or with another code. */
const answers = (rpc: string, asks: Asks, status: number, code: string, message = "broken"): Breakage => ({
  json(name, request, answer, { headers }) {
    if (name === rpc && asks(request, headers)) set(answer, status, { code, message });
  },
});
const set = (answer: JsonAnswer, status: number, body: Json): void => void Object.assign(answer, { status, body });
const always: Asks = () => true;
const handshake = (asks: Asks): Breakage =>
  accepts("Handshake", asks, { coreProtocolVersion: 1, appProtocolVersion: 1, runtimeId: "k-1", runtimeToken: "t" });
const registers = (asks: Asks): Breakage => accepts("RegisterService", asks);
const metadataOf = ({ metadata = {} }: Json): [string, string][] => Object.entries(metadata);

/** One kind of request over one protocol is not served. */
const lacksFormat = (type: string, version: "1.1" | "2"): Breakage => ({
  answer({ http, headers }, response) {
    if (http !== version || headers["content-type"] !== type) return false;
    response.statusCode = 415;
    response.end();
    return true;
  },
});
/** An HTTP path is answered otherwise. */
const at = (path: RegExp, act: (response: AnyResponse, request: Passing) => void): Breakage => ({
  answer(request, response) {
    if (!path.test(request.path)) return false;
    act(response, request);
    return true;
  },
});
const status =
  (code: number, body = "") =>
  (response: AnyResponse): void => {
    response.statusCode = code;
    response.end(body);
  };
/** A watch whose messages are of the breakage's own making, for types with that beginning. */
const watches = (beginning: string, states: readonly string[]): Breakage => ({
  stream(rpc, { serviceType = "" }, response) {
    if (rpc !== "WatchService" || !serviceType.startsWith(beginning)) return false;
    sendStream(
      response,
      states.map((state) => ({ serviceType, state: `SERVICE_STATE_${state}` })),
      {},
    );
    return true;
  },
});
/** Grants whose calls come to the broken server, and are answered there. */
const grantedAt = (answer: NonNullable<Breakage["answer"]>): Breakage => ({
  json(name, _request, { status, body }, { url }) {
    if (name !== "RequestCapability" || status !== 200) return;
    body.grant.endpointUrl = url + new URL(body.grant.endpointUrl).pathname;
  },
  answer,
});
const routed = /^\/services\//;
const pass = (change: (request: Passing) => void): Breakage => ({
  pass(request) {
    if (routed.test(request.path)) change(request);
  },
});
const bytes = (of: RegExp, change: (text: string) => string): Breakage => ({
  bytes: { of: (path) => of.test(path), change },
});
const routedStatus = (when: (request: Passing) => boolean, code: number): Breakage => ({
  answer(request, response) {
    if (!routed.test(request.path) || !when(request)) return false;
    status(code)(response);
    return true;
  },
});
const stranger = (headers: Record<string, string>): boolean => headers.authorization === `Bearer ${"k".repeat(43)}`;
const identityless = (who: (headers: Record<string, string>) => boolean): Breakage =>
  accepts("ReportHealth", (_request, headers) => who(headers), {});
let lastToken = "";
/** Of handshakes: what the broken host gave to whom. */
const given = new Map<string, string>();

/** What breaks each rule of a host, and no other but those that need it. */
export const hostBreakages: Readonly<Record<string, Breakage>> = {
  "http.answers": at(/./, (response) => response.destroy()),
  "handshake.versions": change("Handshake", (body) => (body.coreProtocolVersion = 2)),
  "handshake.anonymous": change("Handshake", (body, { selfId = "" }) => {
    if (selfId === "") body.runtimeId = "somebody-1";
  }),
  "handshake.cookie-key": handshake(({ magicCookieKey }) => magicCookieKey !== "CONNECT_PLUGIN"),
  "handshake.cookie-value": handshake(
    ({ magicCookieKey, magicCookieValue = "" }) =>
      magicCookieKey === "CONNECT_PLUGIN" && !magicCookieValue.startsWith("d3f4"),
  ),
  "handshake.core-version": handshake(({ coreProtocolVersion }) => coreProtocolVersion === 2),
  "handshake.app-version": answers(
    "Handshake",
    ({ appProtocolVersion }) => appProtocolVersion > 1,
    400,
    "invalid_argument",
  ),
  "handshake.lacking-plugin": answers(
    "Handshake",
    ({ requestedPlugins }) => requestedPlugins !== undefined,
    404,
    "not_found",
  ),
  "handshake.identity": change("Handshake", (body) => {
    body.runtimeToken = "";
  }),
  "handshake.runtime-id": change("Handshake", (body, { selfId }) => {
    if (selfId === "Kit-Mixed") body.runtimeId = "Kit-Mixed-0123456789ab";
  }),
  "handshake.unique": change("Handshake", (body, { selfId }) => {
    if (selfId === "kit-twin") body.runtimeToken = "always-the-same";
  }),
  "handshake.suffix": change("Handshake", (body, { selfId }) => {
    if (selfId === "kit-long") body.runtimeId = "kit-long-1";
  }),
  "handshake.self-id-length": handshake(({ selfId = "" }) => selfId.length > 128),
  "handshake.self-id-form": handshake(({ selfId = "" }) => selfId.includes("..")),
  "handshake.self-version": handshake(({ selfVersion = "" }) => selfVersion.length > 64),
  "handshake.metadata": handshake(({ clientMetadata = {} }) => "a key" in clientMetadata),

  "rpc.connect-proto-http1": lacksFormat("application/proto", "1.1"),
  "rpc.connect-json-http1": {
    json(name, { magicCookieValue, selfId }, answer) {
      // The rules of cookies look at the code, this one at the status, too.
      if (name === "Handshake" && magicCookieValue === "another" && selfId === undefined) answer.status = 422;
    },
  },
  "rpc.grpc-proto-http1": lacksFormat("application/grpc+proto", "1.1"),
  "rpc.grpc-json-http1": lacksFormat("application/grpc+json", "1.1"),
  "rpc.grpc-web-proto-http1": lacksFormat("application/grpc-web+proto", "1.1"),
  "rpc.grpc-web-json-http1": lacksFormat("application/grpc-web+json", "1.1"),
  "rpc.connect-proto-http2": lacksFormat("application/proto", "2"),
  "rpc.connect-json-http2": lacksFormat("application/json", "2"),
  "rpc.grpc-proto-http2": lacksFormat("application/grpc+proto", "2"),
  "rpc.grpc-json-http2": lacksFormat("application/grpc+json", "2"),
  "rpc.grpc-web-proto-http2": lacksFormat("application/grpc-web+proto", "2"),
  "rpc.grpc-web-json-http2": lacksFormat("application/grpc-web+json", "2"),

  "health.check": change("Check", (body) => (body.status = "SERVING_STATUS_UNSPECIFIED")),
  "health.unknown": accepts("Check", always, { status: "SERVING_STATUS_SERVING" }),
  "health.watch": at(/HealthService\/Watch$/, (response) =>
    sendStream(response, [{ status: "SERVING_STATUS_NOT_SERVING" }]),
  ),
  "health.watch-unknown": at(/HealthService\/Watch$/, (response) =>
    sendStream(response, [{ status: "SERVING_STATUS_SERVING" }]),
  ),
  "http.healthz": at(/^\/healthz$/, status(500)),
  "http.readyz": at(/^\/readyz$/, status(503)),
  "http.health": at(/^\/health$/, status(503)),

  "identity.missing": identityless(({ authorization }) => authorization === undefined),
  "identity.unknown": identityless(
    (headers) => stranger(headers) && /^kit-[0-9a-f]{12}$/.test(headers["x-plugin-runtime-id"] ?? ""),
  ),
  "identity.wrong-token": identityless(
    (headers) => stranger(headers) && (headers["x-plugin-runtime-id"] ?? "").startsWith("kit-caller-"),
  ),
  "identity.other-token": {
    json(name, { selfId }, answer, { headers }) {
      if (name === "Handshake" && answer.status === 200) given.set(answer.body.runtimeToken, selfId);
      const of = given.get((headers.authorization ?? "").replace("Bearer ", ""));
      if (name === "ReportHealth" && of === "kit-other") set(answer, 200, {});
    },
  },
  "identity.id-only": identityless(
    ({ authorization, "x-plugin-runtime-id": id }) => authorization === undefined && id !== undefined,
  ),

  "register.accepted": change("RegisterService", (body) => {
    body.registrationId = "";
  }),
  "register.type-length": registers(({ serviceType = "" }) => serviceType.length > 128),
  "register.type-form": registers(({ serviceType = "" }) => serviceType === "1kit"),
  "register.version-length": registers(({ version = "" }) => version.length > 64),
  "register.version-form": registers(({ version = "" }) => version === "1.0.0+build"),
  "register.path-length": registers(({ endpointPath = "" }) => endpointPath.length > 256),
  "register.path-form": registers(({ endpointPath = "" }) => endpointPath.includes("..")),
  "register.path-protected": registers(({ endpointPath = "" }) => endpointPath.startsWith("/connectplugin.")),
  "register.metadata-count": registers((request) => metadataOf(request).length > 100),
  "register.metadata-key-length": registers((request) => metadataOf(request).some(([key]) => key.length > 256)),
  "register.metadata-key-form": registers((request) => metadataOf(request).some(([key]) => key === "k/it")),
  "register.metadata-value-length": registers((request) =>
    metadataOf(request).some(([, value]) => value.length > 4096),
  ),
  "register.utf8": registers((request) => metadataOf(request).some(([, value]) => value.startsWith("é"))),
  "register.nul": registers((request) => metadataOf(request).some(([, value]) => value.includes("\0"))),
  "register.names-field": answers("RegisterService", ({ version }) => version === "bad", 400, "invalid_argument"),
  "register.base-url": registers(({ metadata = {} }) => metadata.base_url?.startsWith("ftp:")),
  "unregister.own": answers(
    "DiscoverService",
    ({ serviceType = "" }) => serviceType.startsWith("kit.taken-back"),
    200,
    "ok",
  ),
  "unregister.others": accepts(
    "UnregisterService",
    (_request, headers) => (headers["x-plugin-runtime-id"] ?? "").startsWith("kit-other-"),
    {},
  ),
  "unregister.unknown": accepts(
    "UnregisterService",
    ({ registrationId = "" }) => registrationId.startsWith("kit-"),
    {},
  ),

  "discover.endpoint": change("DiscoverService", ({ endpoint }) => {
    if (endpoint.metadata.zone === "kit") endpoint.endpointUrl = "/elsewhere";
  }),
  "discover.single": change("DiscoverService", (body, { serviceType }) => {
    if (serviceType.startsWith("kit.single")) body.singleProvider = false;
  }),
  "discover.several": change("DiscoverService", (body, { serviceType }) => {
    if (serviceType.startsWith("kit.several")) body.singleProvider = true;
  }),
  "discover.unknown": accepts("DiscoverService", ({ serviceType }) => serviceType?.startsWith("kit.nobody"), {}),
  "discover.type-form": accepts("DiscoverService", ({ serviceType = "" }) => serviceType === "k..it", {}),
  "discover.min-version": accepts("DiscoverService", ({ minVersion }) => minVersion === "2.2.0", {}),
  "discover.semver": answers(
    "DiscoverService",
    ({ minVersion }) => minVersion === "9.0.0",
    404,
    "not_found",
    "no version is new enough",
  ),
  "discover.prerelease": accepts("DiscoverService", ({ minVersion }) => minVersion === "2.0.0-rc.10", {}),
  "discover.min-version-form": accepts("DiscoverService", ({ minVersion }) => minVersion === "^1.0.0", {}),

  "watch.snapshot": watches("kit.watched", ["UNAVAILABLE"]),
  "watch.unprovided": watches("kit.nobody", ["AVAILABLE"]),
  "watch.appears": watches("kit.appears", ["UNAVAILABLE", "UNAVAILABLE"]),
  "watch.goes": watches("kit.goes", ["AVAILABLE", "AVAILABLE"]),
  "watch.unhealthy": watches("kit.moody", ["AVAILABLE", "DEGRADED"]),
  "watch.degraded": watches("kit.moody", ["AVAILABLE", "UNAVAILABLE"]),
  "watch.death": watches("kit.mortal", ["AVAILABLE"]),
  "watch.last-state": watches("kit.busy", ["UNAVAILABLE", "AVAILABLE"]),

  "route.call": pass((request) => {
    request.path = request.path.replace("/a/b-c", "");
  }),
  "route.methods": pass((request) => {
    if (request.method === "PATCH") request.method = "POST";
  }),
  "route.query": pass((request) => {
    request.path = request.path.replace("%20", "+");
  }),
  "route.body": pass((request) => {
    if (request.headers["x-kit-asks"] === "yes") request.headers["x-kit-asks"] = "no";
  }),
  "route.answer": bytes(/\/Teapot$/, (text) => text.replace("stout", "stour")),
  "route.credentials": bytes(/\/Echo$/, (text) =>
    text.replace('"headers":{', '"headers":{"authorization":"Bearer leaked",'),
  ),
  "route.caller-id": bytes(/\/Echo$/, (text) =>
    text.replace(/"x-plugin-caller-id":"kit-caller/, '"x-plugin-caller-id":"kit-other'),
  ),
  "route.caller-id-forged": {
    pass(request) {
      if (request.headers["x-plugin-caller-id"] !== undefined) lastToken = request.headers["x-plugin-caller-id"];
    },
    bytes: {
      of: (path) => /\/Echo$/.test(path) && lastToken !== "",
      change: (text) => text.replace(/"x-plugin-caller-id":"[^"]*"/, `"x-plugin-caller-id":"${lastToken}"`),
    },
  },
  "route.unauthenticated": routedStatus(({ headers }) => headers["x-plugin-runtime-id"] === "", 200),
  "route.wrong-token": routedStatus(
    ({ headers }) => stranger(headers) && (headers["x-plugin-runtime-id"] ?? "").startsWith("kit-caller-"),
    200,
  ),
  "route.unknown": routedStatus(({ path }) => /kit-nobody-/.test(path), 503),
  "route.malformed": routedStatus(({ path }) => path === "/services/kit", 404),
  "route.unreachable": routedStatus(({ path }) => path.includes("/kit.lost-"), 404),
  "route.error-connect": routedStatus(
    ({ path, headers }) => path.includes("/kit.nobody-") && headers["content-type"] === "application/json",
    404,
  ),
  "route.error-grpc-web": routedStatus(({ headers }) => (headers["content-type"] ?? "").includes("grpc-web"), 404),
  "route.error-grpc": routedStatus(
    ({ path, headers }) => path.includes("/kit.nobody-") && headers["content-type"] === "application/grpc+proto",
    404,
  ),
  "route.error-connect-stream": routedStatus(
    ({ headers }) => headers["content-type"] === "application/connect+json",
    404,
  ),
  "route.grpc-trailers": bytes(/\/Grpc$/, (text) => text.toUpperCase()),
  "route.stream-answer": bytes(/\/Stream$/, (text) => text.replace("second", "sec0nd")),
  "route.stream-both": bytes(/\/Stream$/, (text) => text.replace("two", "tw0")),

  "any.announced": change("Handshake", (body) => {
    if (body.serverMetadata?.["cpg.router"] === "1") body.serverMetadata["cpg.router"] = "yes";
  }),
  "any.call": routedStatus(({ path }) => path.includes("/-/") && path.includes("/kit.routed-"), 404),
  "any.unknown": routedStatus(({ path }) => path.includes("/-/") && path.includes("/kit.nobody-"), 503),

  "health-report.accepted": answers(
    "ReportHealth",
    ({ state }) => state === "HEALTH_STATE_DEGRADED",
    400,
    "invalid_argument",
  ),
  "health-report.unhealthy": routedStatus(({ path }) => path.includes("/kit-sick-"), 200),
  "health-report.recovered": routedStatus(({ path }) => path.includes("/kit-cured-"), 503),
  "health-report.degraded": routedStatus(({ path }) => path.includes("/kit-tired-"), 503),
  "probe.no-opinion": routedStatus(({ path }) => path.includes("/kit-silent-"), 503),
  "probe.unhealthy": routedStatus(({ path }) => path.includes("/kit-probed-"), 500),

  "capability.advertised": change("Handshake", ({ hostCapabilities = [] }) => {
    for (const capability of hostCapabilities) capability.endpoint = "/relative";
  }),
  "capability.request": change("RequestCapability", ({ grant }) => {
    grant.bearerToken = "";
  }),
  "capability.broker-path": at(/^\/broker\//, (response) => sendJson(response, 404, {})),
  "capability.grant-url": change("RequestCapability", ({ grant }) => {
    grant.grantId = `other-${grant.grantId}`;
  }),
  "capability.identity": accepts("RequestCapability", (_request, { authorization }) => authorization === undefined, {
    grant: {},
  }),
  "capability.unknown": accepts("RequestCapability", ({ capabilityType }) => capabilityType.startsWith("kit.nothing"), {
    grant: {},
  }),
  "capability.min-version": accepts("RequestCapability", ({ minVersion }) => minVersion !== undefined, { grant: {} }),
  "capability.token": grantedAt(({ path, headers }, response) => {
    if (!path.startsWith("/capabilities/") || headers.authorization !== undefined) return false;
    status(200)(response);
    return true;
  }),
  "capability.unknown-grant": grantedAt(({ path }, response) => {
    if (!/^\/capabilities\/[^/]+\/kit-/.test(path)) return false;
    status(401)(response);
    return true;
  }),
  "capability.malformed": at(/^\/capabilities\/$/, status(404)),
  "capability.logger": grantedAt(({ path }, response) => {
    if (!path.endsWith("/Log")) return false;
    status(404)(response);
    return true;
  }),
};
