import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient, type HandlerContext } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import { afterAll, describe, expect, it } from "vitest";
import { callerIdKey } from "../src/control/caller.ts";
import { definePlugin } from "../src/definition/plugin-definition.ts";
import { Logger } from "../src/gen/capability/logger/v1/logger_pb.ts";
import { PluginControl, PluginIdentity } from "../src/gen/connectplugin/v1/plugin_pb.ts";
import type { NodeServerRequest, NodeServerResponse } from "../src/listener/node-handler.ts";
import { serve } from "../src/server/serve.ts";
import type { ServeOptions } from "../src/server/serve-options.ts";
import { type ClientTlsOptions, openCallTransport } from "../src/wire/call-transport.ts";
import { parseEndpoint } from "../src/wire/endpoint.ts";
import { createCertificates } from "./support/certificates.ts";

const logger = definePlugin({ name: "logger", version: "1.0.0", service: Logger });
const token = "correct-horse-battery-staple-correct-horse";
const directory = await mkdtemp(join(tmpdir(), "cpg-control-"));
afterAll(() => rm(directory, { recursive: true }));
const certificates = await createCertificates();
const { ca } = certificates;

let sockets = 0;
/** As a launcher does it: a socket in a directory of its own, told by the environment. */
function launched(environment: Record<string, string> = {}): Partial<ServeOptions<{ logger: typeof logger }>> {
  sockets += 1;
  return { environment: { CPG_SOCKET: join(directory, `${sockets}.sock`), ...environment } };
}
const tcp = { listen: { port: 0 } };
const socket = () => {
  sockets += 1;
  return { listen: { socketPath: join(directory, `${sockets}.sock`) } };
};
const mtls = { tls: { ...certificates.server, ca, requestCert: true, rejectUnauthorized: false } };
const testClient = { control: { hostCertificate: ({ subject }: { subject: string }) => subject === "CN=test-client" } };

/** Who gets through, by the plugin's configuration and what its caller presents. */
const table: readonly {
  readonly plugin: string;
  readonly caller: string;
  readonly options: () => Partial<ServeOptions<{ logger: typeof logger }>>;
  readonly controlToken?: string;
  readonly tls?: ClientTlsOptions;
  readonly accepted: boolean;
}[] = [
  { plugin: "without any proof configured", caller: "anybody", options: () => tcp, accepted: false },
  {
    plugin: "without any proof configured",
    caller: "a token",
    options: () => tcp,
    controlToken: token,
    accepted: false,
  },
  { plugin: "on a socket of its own choice", caller: "a Unix peer", options: socket, accepted: false },
  { plugin: "on a launcher's socket", caller: "a Unix peer", options: launched, accepted: true },
  {
    plugin: "launched on TCP with a secret",
    caller: "no token",
    options: () => ({ ...tcp, environment: { CPG_CONTROL_TOKEN: token } }),
    accepted: false,
  },
  {
    plugin: "launched on TCP with a secret",
    caller: "the secret",
    options: () => ({ ...tcp, environment: { CPG_CONTROL_TOKEN: token } }),
    controlToken: token,
    accepted: true,
  },
  {
    plugin: "with a configured token",
    caller: "a wrong token",
    options: () => ({ ...tcp, control: { token } }),
    controlToken: `${token}x`,
    accepted: false,
  },
  {
    plugin: "with a configured token",
    caller: "the token",
    options: () => ({ ...tcp, control: { token } }),
    controlToken: token,
    accepted: true,
  },
  {
    plugin: "that takes any host",
    caller: "anybody",
    options: () => ({ ...tcp, control: { allowAnyHost: true } }),
    accepted: true,
  },
  {
    plugin: "that knows its host's certificate",
    caller: "that certificate",
    options: () => ({ ...tcp, ...mtls, ...testClient }),
    tls: { ca, ...certificates.client },
    accepted: true,
  },
  {
    plugin: "that knows its host's certificate",
    caller: "no certificate",
    options: () => ({ ...tcp, ...mtls, ...testClient }),
    tls: { ca },
    accepted: false,
  },
  {
    plugin: "that knows its host's certificate",
    caller: "one of another authority",
    options: () => ({ ...tcp, ...mtls, ...testClient }),
    tls: { ca, ...certificates.stranger },
    accepted: false,
  },
  {
    plugin: "that knows another certificate",
    caller: "a verified one",
    options: () => ({ ...tcp, ...mtls, control: { hostCertificate: () => false } }),
    tls: { ca, ...certificates.client },
    accepted: false,
  },
];

/** Serves a plugin, with a client of one connection to it. `callers` are what its handlers saw. */
async function start(options: Partial<ServeOptions<{ logger: typeof logger }>>, tls?: ClientTlsOptions) {
  const callers: (string | undefined)[] = [];
  const headers: Headers[] = [];
  const server = await serve({
    plugins: { logger },
    impls: {
      logger: {
        log(_request: unknown, { values, requestHeader }: HandlerContext) {
          callers.push(values.get(callerIdKey));
          headers.push(requestHeader);
          return {};
        },
      },
    },
    environment: {},
    handleSignals: false,
    graceMs: 1_000,
    ...options,
  });
  const endpoint = parseEndpoint(server.endpoint);
  const calls = openCallTransport({ endpoint, httpVersion: "1.1", ...(tls && { tls }) });
  return {
    server,
    transport: calls.transport,
    callers,
    headers,
    async [Symbol.asyncDispose]() {
      await calls.close();
      await server.close();
    },
  };
}

function verdict(call: Promise<{ acknowledged: boolean }>): Promise<true | Code> {
  return call.then(
    ({ acknowledged }) => acknowledged || Code.Unknown,
    (reason: unknown) => ConnectError.from(reason).code,
  );
}

describe.each(table)("a plugin $plugin, called with $caller", ({ options, controlToken = "", tls, accepted }) => {
  const answer = accepted || Code.PermissionDenied;

  it(`${accepted ? "takes" : "refuses"} an identity`, async () => {
    await using t = await start(options(), tls);
    const request = { runtimeId: "logger-1", runtimeToken: "secret", hostUrl: "http://127.0.0.1:1", controlToken };
    const call = createClient(PluginIdentity, t.transport).setRuntimeIdentity(request);
    expect(await verdict(call)).toBe(answer);
    expect(t.server.link?.hostUrl).toBe(accepted ? "http://127.0.0.1:1" : undefined);
  });

  it(`${accepted ? "obeys" : "refuses"} Shutdown`, async () => {
    await using t = await start(options(), tls);
    const call = createClient(PluginControl, t.transport).shutdown({ gracePeriodSeconds: 1, controlToken });
    expect(await verdict(call)).toBe(answer);
    expect(t.server.draining.aborted).toBe(accepted);
  });

  it(`${accepted ? "believes" : "ignores"} who is said to call`, async () => {
    await using t = await start(options(), tls);
    const headers = {
      "x-plugin-caller-id": "caller-1",
      ...(controlToken && { "x-plugin-control-token": controlToken }),
    };
    await createClient(Logger, t.transport).log({}, { headers });
    expect(t.callers).toEqual([accepted ? "caller-1" : undefined]);
    expect(t.headers[0]?.get("x-plugin-caller-id") ?? undefined).toBe(accepted ? "caller-1" : undefined);
    expect(t.headers[0]?.has("x-plugin-control-token")).toBe(false);
  });
});

describe("who is said to call", () => {
  const proof = { "x-plugin-control-token": token };
  it.each([
    { what: "no caller", headers: { ...proof }, caller: undefined },
    { what: "an empty one", headers: { ...proof, "x-plugin-caller-id": "" }, caller: undefined },
    {
      what: "two",
      headers: [...Object.entries(proof), ["x-plugin-caller-id", "a-1"], ["x-plugin-caller-id", "b-2"]],
      caller: undefined,
    },
    { what: "none of the form of a runtime id", headers: { ...proof, "x-plugin-caller-id": "a b" }, caller: undefined },
    { what: "one too long", headers: { ...proof, "x-plugin-caller-id": "a".repeat(257) }, caller: undefined },
    { what: "the longest", headers: { ...proof, "x-plugin-caller-id": "a".repeat(256) }, caller: "a".repeat(256) },
  ] as { what: string; headers: Record<string, string> | [string, string][]; caller: string | undefined }[])(
    "is read strictly: $what",
    async ({ headers, caller }) => {
      await using t = await start({ ...tcp, control: { token } });
      await createClient(Logger, t.transport).log({}, { headers });
      expect(t.callers).toEqual([caller]);
    },
  );
});

describe("a plain HTTP route of a plugin", () => {
  it.each([
    { proof: "without a proof", headers: {}, caller: undefined },
    { proof: "with a wrong token", headers: { "x-plugin-control-token": `${token}x` }, caller: undefined },
    { proof: "with the token", headers: { "x-plugin-control-token": token }, caller: "caller-1" },
  ])("sees who is said to call only if that is so, and never the token: $proof", async ({ headers, caller }) => {
    const seen: IncomingHttpHeaders[] = [];
    const httpRoutes = [
      {
        path: "/files/",
        prefix: true,
        handle(request: NodeServerRequest, response: NodeServerResponse) {
          seen.push(request.headers);
          response.end();
        },
      },
    ];
    await using t = await start({ ...tcp, httpRoutes, control: { token } });
    await fetch(`${t.server.endpoint}/files/a`, { headers: { ...headers, "x-plugin-caller-id": "caller-1" } });
    expect(seen[0]?.["x-plugin-caller-id"]).toBe(caller);
    expect(seen[0]).not.toHaveProperty("x-plugin-control-token");
  });
});

describe("Shutdown", () => {
  it("answers before the plugin goes, and a second one is acknowledged as well", async () => {
    await using t = await start({ ...tcp, control: { token } });
    const control = createClient(PluginControl, t.transport);
    const orders = [0, 1].map((gracePeriodSeconds) => control.shutdown({ gracePeriodSeconds, controlToken: token }));
    const answers = await Promise.all(orders.map(verdict));
    // The second may find the door closed already.
    expect(answers[0]).toBe(true);
    expect([true, Code.Unavailable]).toContain(answers[1]);
    await t.server.closed;
  });

  it("without a grace of its own leaves the plugin its own grace", async () => {
    const clock = new FakeClock();
    const called = Promise.withResolvers<void>();
    const impls = {
      logger: {
        log: (_request: unknown, { signal }: HandlerContext) =>
          new Promise<never>((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
            called.resolve();
          }),
      },
    };
    await using t = await start({ ...tcp, impls, clock, graceMs: 5_000, link: false, control: { token } });
    const call = createClient(Logger, t.transport).log({});
    const cut = expect(call).rejects.toMatchObject({ code: Code.Unavailable });
    await called.promise;
    await createClient(PluginControl, t.transport).shutdown({ controlToken: token });
    await clock.advance(5_000);
    await cut;
    await clock.advance(25_000);
  });
});
