import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { definePlugin } from "../definition/plugin-definition.ts";
import { Logger } from "../gen/capability/logger/v1/logger_pb.ts";
import {
  type HandshakeRequest,
  type HandshakeResponseSchema,
  HandshakeService,
} from "../gen/connectplugin/v1/handshake_pb.ts";
import { admitWhen, openAdmission } from "../identity/admission.ts";
import { createIdentityRegistry } from "../identity/identity-registry.ts";
import { FieldError } from "../protocol/wire-error.ts";
import { type HandshakeOptions, shakeHands } from "./handshake-client.ts";
import { HandshakeError } from "./handshake-error.ts";
import { createHandshakeService, type HandshakeServiceOptions } from "./handshake-service.ts";

const probe = definePlugin({
  name: "probe",
  version: "1.2.3",
  service: Logger,
  provides: [{ type: "probe", version: "1.2.3" }],
  requires: [{ type: "logger", minVersion: "1.0.0" }],
});
const plugins = { probe };
const servicePath = "/capability.logger.v1.Logger/";

type Answer = MessageInitShape<typeof HandshakeResponseSchema>;

function server(options: Partial<HandshakeServiceOptions> = {}): Transport {
  return createRouterTransport(({ service }) => {
    service(HandshakeService, createHandshakeService({ plugins, admission: openAdmission(), ...options }));
  });
}

/** A server of another make. */
function foreign(answer: (request: HandshakeRequest) => Answer | Promise<Answer>): Transport {
  return createRouterTransport(({ service }) => service(HandshakeService, { handshake: answer }));
}

/** As a server does that knows a single version: it refuses any other and says nothing that a program can read. */
function single(version: number, log: number[] = []): Transport {
  return foreign((request) => {
    log.push(request.appProtocolVersion);
    if (request.appProtocolVersion !== version) throw new ConnectError("version mismatch", Code.FailedPrecondition);
    return { coreProtocolVersion: 1, appProtocolVersion: version, plugins: [{ name: "probe", servicePath }] };
  });
}

async function failure(transport: Transport, options: Partial<HandshakeOptions> = {}): Promise<ConnectError> {
  try {
    await shakeHands(transport, { plugins, ...options });
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("the handshake succeeded");
}

describe("shakeHands", () => {
  it("settles version, plugins, facts and identity with a server of ours", async () => {
    const identities = createIdentityRegistry({ ttlMs: 5_000, clock: new FakeClock() });
    const capabilities = [{ type: "logger", version: "1.0.0", endpoint: "http://localhost/x" }];
    const transport = server({
      appProtocolVersions: [1, 2, 3],
      identities,
      serverMetadata: () => ({ "cpg.http": "1.1, 2" }),
      capabilities: () => capabilities,
    });
    const declares = { provides: [{ type: "kv", version: "1.0.0", path: "/kv/" }], requires: [{ type: "logger" }] };
    const result = await shakeHands(transport, {
      plugins,
      appProtocolVersions: [2, 3, 4],
      selfId: "Me",
      selfVersion: "any",
      declares,
      clientMetadata: { a: "b" },
    });
    expect(result).toMatchObject({
      appProtocolVersion: 3,
      http2: true,
      capabilities,
      serverMetadata: { "cpg.http": "1.1, 2" },
    });
    expect(result.plugins.get("probe")).toMatchObject({ name: "probe", version: "1.2.3", servicePath });
    expect(result.plugins.get("probe")?.requires).toMatchObject([{ type: "logger", minVersion: "1.0.0" }]);
    const { runtimeId = "", runtimeToken = "", ttlMs } = result.identity ?? {};
    expect(JSON.stringify(result)).not.toContain(runtimeToken);
    expect(ttlMs).toBe(5_000);
    expect(identities.verify(runtimeId, runtimeToken)).toMatchObject({
      selfId: "Me",
      selfVersion: "any",
      declares: {
        provides: declares.provides,
        requires: [{ type: "logger", minVersion: "", requiredForStartup: true, watchForChanges: false }],
      },
    });
  });

  it("sends what it was told, and its preferred version where old servers look", async () => {
    const sent: HandshakeRequest[] = [];
    const transport = foreign((request) => {
      sent.push(request);
      return { coreProtocolVersion: 1, appProtocolVersion: 3 };
    });
    await shakeHands(transport, {
      plugins: {},
      magicCookie: { key: "K", value: "v" },
      appProtocolVersions: [2, 3],
      clientMetadata: { a: "b" },
    });
    expect(sent).toMatchObject([
      {
        coreProtocolVersion: 1,
        appProtocolVersion: 3,
        appProtocolVersions: [3, 2],
        magicCookieKey: "K",
        magicCookieValue: "v",
        requestedPlugins: [],
        clientMetadata: { a: "b" },
        selfId: "",
        declaresServices: false,
      },
    ]);
  });

  it("tells a host that declares nothing from one that cannot", async () => {
    const identities = createIdentityRegistry({ clock: new FakeClock() });
    const nothing = { provides: [], requires: [] };
    const results = [
      await shakeHands(server({ identities }), { plugins, selfId: "a", declares: nothing }),
      await shakeHands(server({ identities }), { plugins, selfId: "a" }),
    ];
    const declared = results.map(({ identity }) => identities.get(identity?.runtimeId ?? "")?.declares);
    expect(declared).toEqual([nothing, undefined]);
  });

  it("gets no identity without asking, nor from a server that issues none", async () => {
    const identities = createIdentityRegistry({ clock: new FakeClock() });
    expect((await shakeHands(server({ identities }), { plugins })).identity).toBeUndefined();
    expect((await shakeHands(server(), { plugins, selfId: "a" })).identity).toBeUndefined();
    expect(identities.size).toBe(0);
  });

  it("leaves no identity behind when the caller goes away while the policy decides", async () => {
    const identities = createIdentityRegistry({ clock: new FakeClock() });
    const asked = Promise.withResolvers<void>();
    const decision = Promise.withResolvers<boolean>();
    const admission = admitWhen("slow", () => {
      asked.resolve();
      return decision.promise;
    });
    const abort = new AbortController();
    const outcome = failure(server({ identities, admission }), { selfId: "a", signal: abort.signal });
    await asked.promise;
    abort.abort(new ConnectError("enough", Code.Aborted));
    expect((await outcome).code).toBe(Code.Aborted);
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    await turn(); // the server hears of it
    decision.resolve(true);
    await turn();
    expect(identities.size).toBe(0);
  });

  it("works with a server that knows a single version, when that is one of ours", async () => {
    const asked: number[] = [];
    const result = await shakeHands(single(2, asked), { plugins, appProtocolVersions: [1, 2, 4, 3] });
    expect(asked).toEqual([4, 3, 2]);
    expect(result).toMatchObject({ appProtocolVersion: 2, http2: false });
  });

  it("asks a server that names no versions a bounded number of times", async () => {
    const asked: number[] = [];
    const appProtocolVersions = Array.from({ length: 50 }, (_, index) => index + 1);
    const error = await failure(single(99, asked), { appProtocolVersions });
    expect(asked).toHaveLength(16);
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.message).toMatch(/it says: version mismatch/);
  });

  it("asks a server of ours once, and names both sets and the remedy", async () => {
    const error = await failure(server({ appProtocolVersions: [3, 4] }), { appProtocolVersions: [1, 2] });
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.rawMessage).toBe(
      "the server speaks app protocol version 3, 4; the client asks for 1, 2: " +
        "upgrade the client, or let the server support version 2",
    );
    expect(error.cause).toMatchObject({ fault: "app-version", ours: [2, 1], theirs: [4, 3] });
  });

  it("names the plugins that the server lacks, and what it offers", async () => {
    const cache = definePlugin({ name: "cache", version: "1.0.0", service: HandshakeService });
    const error = await failure(server(), { plugins: { probe, cache } });
    expect(error.code).toBe(Code.NotFound);
    expect(error.message).toMatch(/lacks "cache"; it offers only "probe" of those asked for/);
    expect(error.cause).toMatchObject({ fault: "plugins-missing", ours: ["probe", "cache"], theirs: ["probe"] });
  });

  it("says so when nothing there knows the handshake", async () => {
    const error = await failure(createRouterTransport(() => {}));
    expect(error.code).toBe(Code.Unimplemented);
    expect(error.message).toMatch(/no plugin server/);
    expect((error.cause as HandshakeError).fault).toBe("no-plugin-server");
  });

  it.each<{ name: string; code: Code; options: Partial<HandshakeServiceOptions>; client: Partial<HandshakeOptions> }>([
    { name: "cookie", code: Code.InvalidArgument, options: { magicCookie: { key: "A", value: "b" } }, client: {} },
    { name: "self_id", code: Code.InvalidArgument, options: {}, client: { selfId: "a..b" } },
    {
      name: "admission",
      code: Code.PermissionDenied,
      options: {
        admission: admitWhen("x", () => false),
        identities: createIdentityRegistry({ clock: new FakeClock() }),
      },
      client: { selfId: "a" },
    },
  ])("passes on what the server says about $name", async ({ code, options, client }) => {
    expect((await failure(server(options), client)).code).toBe(code);
  });

  it.each<{ field: string; answer: Answer; code?: Code }>([
    { field: "plugin protocol", answer: { coreProtocolVersion: 2 }, code: Code.FailedPrecondition },
    { field: "app protocol version 9", answer: { appProtocolVersion: 9 }, code: Code.FailedPrecondition },
    {
      field: "/evil.v1.Evil/",
      answer: { plugins: [{ name: "probe", servicePath: "/evil.v1.Evil/" }] },
      code: Code.FailedPrecondition,
    },
    { field: "lacks", answer: { plugins: [] }, code: Code.NotFound },
    { field: "lacks", answer: { plugins: [{ name: "toString" }] }, code: Code.NotFound },
    { field: "plugins[1]", answer: { plugins: [{ name: "probe" }, { name: "probe" }] } },
    { field: "plugins", answer: { plugins: Array.from({ length: 1_001 }, () => ({ name: "x" })) } },
    { field: "plugins[0].version", answer: { plugins: [{ name: "probe", version: "x".repeat(65) }] } },
    {
      field: "plugins[0].provides.type",
      answer: { plugins: [{ name: "probe", provides: [{ type: "x".repeat(129) }] }] },
    },
    { field: "server_metadata key", answer: { serverMetadata: { "no spaces": "" } } },
    { field: "server_metadata[a]", answer: { serverMetadata: { a: "x".repeat(4_097) } } },
    { field: "host_capabilities.endpoint", answer: { hostCapabilities: [{ endpoint: "x".repeat(2_049) }] } },
    { field: "runtime_id", answer: { runtimeId: "x".repeat(257), runtimeToken: "t" } },
    { field: "runtime_id", answer: { runtimeId: "", runtimeToken: "t" } },
    { field: "runtime_id", answer: { runtimeId: "a\nb", runtimeToken: "t" } },
    { field: "runtime_token", answer: { runtimeId: "a", runtimeToken: "" } },
    { field: "runtime_token", answer: { runtimeId: "a", runtimeToken: "x".repeat(1_025) } },
    { field: "runtime_token_ttl", answer: { runtimeId: "a", runtimeToken: "t", runtimeTokenTtl: { seconds: -1n } } },
  ])("does not believe a wrong $field", async ({ field, answer, code = Code.InvalidArgument }) => {
    const transport = foreign(() => ({
      coreProtocolVersion: 1,
      appProtocolVersion: 1,
      plugins: [{ name: "probe" }],
      ...answer,
    }));
    const error = await failure(transport, { selfId: "a" });
    expect(error.code).toBe(code);
    expect(error.message).toContain(field);
    expect(error.cause instanceof FieldError || error.cause instanceof HandshakeError).toBe(true);
  });

  it("ignores plugins it did not ask for, and takes a server that tells no paths", async () => {
    const transport = foreign(() => ({
      coreProtocolVersion: 1,
      appProtocolVersion: 1,
      plugins: [{ name: "other" }, { name: "probe" }],
    }));
    expect([...(await shakeHands(transport, { plugins })).plugins.keys()]).toEqual(["probe"]);
  });

  it("gives up on a server that does not answer", async () => {
    const clock = new FakeClock();
    const outcome = failure(
      foreign(() => new Promise(() => {})),
      { clock, timeoutMs: 500 },
    );
    await clock.advance(500);
    const error = await outcome;
    expect(error.code).toBe(Code.DeadlineExceeded);
    expect(error.message).toMatch(/within 500 ms/);
    expect(clock.pending).toBe(0);
  });

  it("ends when its signal aborts", async () => {
    const abort = new AbortController();
    const outcome = failure(
      foreign(() => new Promise(() => {})),
      { signal: abort.signal },
    );
    abort.abort(new ConnectError("enough", Code.Aborted));
    expect((await outcome).code).toBe(Code.Aborted);
  });

  it.each([{ appProtocolVersions: [] }, { appProtocolVersions: [0] }, { timeoutMs: 0 }])(
    "refuses the option %o",
    async (options) => {
      await expect(shakeHands(server(), { plugins, ...options })).rejects.toThrow(RangeError);
    },
  );
});
