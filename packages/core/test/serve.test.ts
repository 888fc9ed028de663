import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Code, ConnectError, createClient, createContextKey, type Interceptor } from "@connectrpc/connect";
import { type HostExtension, openAdmission } from "@cpg/core";
import { HealthService, ServingStatus } from "@cpg/core/gen/connectplugin/health/v1/health_pb";
import { peerKey } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { openCallTransport } from "../src/wire/call-transport.ts";
import { parseEndpoint } from "../src/wire/endpoint.ts";
import { createCertificates } from "./support/certificates.ts";
import { createEcho } from "./support/echo-service.ts";
import { echoClient, serveEcho } from "./support/started-server.ts";

async function get(url: string, method = "GET") {
  const response = await fetch(url, { method });
  return { status: response.status, text: await response.text(), allow: response.headers.get("allow") };
}

describe("options of serve", () => {
  it.each([
    { rule: "graceMs must be", options: { graceMs: -1 } },
    { rule: "graceMs must be", options: { graceMs: Number.NaN } },
    { rule: "selfId must match", options: { selfId: "a b" } },
    { rule: "selfVersion must have at most 64 bytes", options: { selfVersion: "v".repeat(65) } },
    { rule: "serverMetadata key must match", options: { serverMetadata: { "1": "x" } } },
    { rule: "control.token must have from 32", options: { control: { token: "short" } } },
    { rule: "limits.maxConnections must be", options: { limits: { maxConnections: 0 } } },
    { rule: "environment variable PORT", options: { environment: { PORT: "http" } } },
    { rule: "environment variable PORT", options: { environment: { PORT: "65536" } } },
    { rule: "environment variable HOST_URL", options: { environment: { HOST_URL: "ftp://host" } } },
    { rule: "environment variable CPG_SOCKET", options: { environment: { CPG_SOCKET: "relative" } } },
    { rule: "two routes serve /x", options: { httpRoutes: [route("/x"), route("/x")] } },
    { rule: "two routes serve /healthz", options: { httpRoutes: [route("/healthz")] } },
  ])("$rule … ($options)", async ({ rule, options }) => {
    await expect(serveEcho(options)).rejects.toThrow(rule);
  });

  it("never repeats a secret of the environment", async () => {
    const secret = "s3cret";
    const failure = await serveEcho({ environment: { CPG_CONTROL_TOKEN: secret } }).catch((error: Error) => error);
    expect(String(failure)).toContain("CPG_CONTROL_TOKEN");
    expect(String(failure)).not.toContain(secret);
  });

  it("leaves TLS to others on the socket of its launcher", async () => {
    const directory = await mkdtemp(join(tmpdir(), "cpg-serve-"));
    const socketPath = join(directory, "p.sock");
    const { server: tls } = await createCertificates();
    const server = await serveEcho({ listen: undefined, environment: { CPG_SOCKET: socketPath }, tls });
    await using client = echoClient(`unix:${socketPath}`);
    await (await client.dispense("echo")).unary({});
    await server.close();
    await rm(directory, { recursive: true });
  });

  it("listens where the environment says, unless it is told otherwise", async () => {
    await using server = await serveEcho({ listen: undefined, environment: { PORT: "0" } });
    expect(server.address).toMatchObject({ kind: "tcp", host: "127.0.0.1" });
  });
});

function route(path: string) {
  return { path, handle: () => {} };
}

describe("a host that listens beyond this machine", () => {
  const extension: HostExtension = { name: "test", install: () => ({}) };
  const listen = { port: 0, host: "0.0.0.0" };

  it("refuses to start without an admission policy", async () => {
    const failure = ConnectError.from(await serveEcho({ listen, extensions: [extension] }).catch((reason) => reason));
    expect(failure.code).toBe(Code.FailedPrecondition);
    expect(failure.message).toContain("admission");
  });

  it("starts with one", async () => {
    await using server = await serveEcho({ listen, extensions: [extension], admission: openAdmission() });
    await using client = echoClient(server.endpoint, { selfId: "plugin" });
    expect((await client.connect()).identity?.runtimeId).toMatch(/^plugin-/);
  });

  it("issues no identities when it is only a plugin and names none", async () => {
    await using server = await serveEcho({ listen });
    await using client = echoClient(server.endpoint, { selfId: "plugin" });
    expect((await client.connect()).identity).toBeUndefined();
  });
});

describe("an extension", () => {
  const factKey = createContextKey("nothing");

  it("adds RPCs, HTTP routes, context values, handshake facts and a shutdown step", async () => {
    const log: string[] = [];
    const extension = (name: string): HostExtension => ({
      name,
      install: (host) => ({
        routes: (router) =>
          name === "first" &&
          router.service(
            HealthService,
            { check: () => ({ status: ServingStatus.SERVING }) },
            { interceptors: [host.requireIdentity] },
          ),
        httpRoutes: [{ path: `/${name}/`, prefix: true, handle: (_, response) => void response.end(name) }],
        contextValues: (_, values) => void values.set(factKey, `fact of ${name}`),
        handshakeFacts: () => ({
          serverMetadata: { [`cpg.${name}`]: "1", "cpg.http": "3" },
          capabilities: [{ type: name, version: "1.0.0", endpoint: `${host.publicUrl()}/x` }],
        }),
        shutdown: () => void log.push(`shutdown of ${name}`),
      }),
    });
    // The health service of the server itself has the same paths.
    await expect(serveEcho({ extensions: [extension("first")] })).rejects.toThrow("two services serve");
    expect(log).toEqual(["shutdown of first"]);

    const server = await serveEcho({
      extensions: [extension("second"), extension("third")],
      impls: { echo: { ...createEcho(), unary: (_, { values }) => ({ text: values.get(factKey) }) } },
    });
    await using client = echoClient(server.endpoint);
    expect((await (await client.dispense("echo")).unary({})).text).toBe("fact of third");
    const { serverMetadata, capabilities } = await client.connect();
    expect(serverMetadata).toMatchObject({ "cpg.second": "1", "cpg.third": "1", "cpg.http": "1.1,2" });
    expect(capabilities).toMatchObject([{ type: "second", endpoint: `${server.endpoint}/x` }, { type: "third" }]);
    expect(await get(`${server.endpoint}/second/deep`)).toMatchObject({ status: 200, text: "second" });
    await server.close({ graceMs: 0 });
    expect(log).toEqual(["shutdown of first", "shutdown of third", "shutdown of second"]);
  });

  it("that fails to shut down does not keep the others from it", async () => {
    const log: string[] = [];
    const failing = (name: string): HostExtension => ({
      name,
      install: () => ({
        shutdown() {
          log.push(name);
          throw new Error(`${name} failed`);
        },
      }),
    });
    const server = await serveEcho({ extensions: [failing("one"), failing("two")] });
    await expect(server.close()).rejects.toThrow(AggregateError);
    await server.closed;
    expect(log).toEqual(["two", "one"]);
  });
});

describe("HTTP beside the RPCs", () => {
  it("serves health, routes of its own, and 404 elsewhere", async () => {
    const errors: unknown[] = [];
    await using server = await serveEcho({
      httpRoutes: [
        { path: "/hello", handle: (_, response) => void response.end("hello") },
        { path: "/throws", handle: () => Promise.reject(new Error("secret detail")) },
      ],
      onError: (error) => errors.push(error),
    });
    expect(await get(`${server.endpoint}/healthz`)).toMatchObject({ status: 200 });
    expect(await get(`${server.endpoint}/readyz`)).toMatchObject({ status: 200 });
    expect(await get(`${server.endpoint}/readyz`, "POST")).toMatchObject({ status: 405, allow: "GET, HEAD" });
    expect(await get(`${server.endpoint}/hello?x=1`)).toMatchObject({ status: 200, text: "hello" });
    expect(await get(`${server.endpoint}/hello/`)).toMatchObject({ status: 404 });
    const failed = await get(`${server.endpoint}/throws`);
    expect(failed.status).toBe(500);
    expect(failed.text).not.toContain("secret");
    expect(errors).toHaveLength(1);
    server.health.set("echo", "not-serving");
    expect(await get(`${server.endpoint}/health`)).toMatchObject({ status: 503 });
    expect(await get(`${server.endpoint}/healthz`)).toMatchObject({ status: 200 });
  });

  it.each([
    {
      how: "throws",
      onError: () => {
        throw new Error("the log is full");
      },
    },
    { how: "rejects", onError: () => Promise.reject(new Error("the log is full")) },
  ])("answers 500, and lives on, when onError $how", async ({ onError }) => {
    await using server = await serveEcho({
      httpRoutes: [
        { path: "/rejects", handle: () => Promise.reject(new Error("bug")) },
        {
          path: "/throws",
          handle() {
            throw new Error("bug");
          },
        },
      ],
      onError,
    });
    expect(await get(`${server.endpoint}/rejects`)).toMatchObject({ status: 500 });
    expect(await get(`${server.endpoint}/throws`)).toMatchObject({ status: 500 });
  });

  it("answers a Host that is no host with 400, and lives on", async () => {
    await using server = await serveEcho();
    const { port } = new URL(server.endpoint);
    const path = "/cpg.test.v1.EchoService/Unary";
    const request = httpRequest({ port, path, method: "POST", headers: { host: "a b:c" } });
    request.end("{}");
    const [response] = await once(request, "response");
    expect(response.statusCode).toBe(400);
    await using client = echoClient(server.endpoint);
    await (await client.dispense("echo")).unary({});
  });
});

describe("interceptors and context values", () => {
  it("run outside in: the client's, the server's, the plugin's; with the peer at hand", async () => {
    const log: string[] = [];
    const logged =
      (name: string): Interceptor =>
      (next) =>
      async (request) => {
        if (request.service.typeName === "cpg.test.v1.EchoService") log.push(name);
        return next(request);
      };
    const noteKey = createContextKey("");
    await using server = await serveEcho({
      impls: {
        echo: {
          ...createEcho(),
          unary: (_, { values }) => ({ text: `${values.get(peerKey)?.address} ${values.get(noteKey)}` }),
        },
      },
      interceptors: [logged("server 1"), logged("server 2")],
      pluginInterceptors: { echo: [logged("plugin")] },
      contextValues: (request, values) => void values.set(noteKey, `${request.method} ${values.get(peerKey)?.network}`),
    });
    await using client = echoClient(server.endpoint, { interceptors: [logged("client 1"), logged("client 2")] });
    const { text } = await (await client.dispense("echo")).unary({});
    expect(text).toBe("127.0.0.1 POST tcp");
    expect(log).toEqual(["client 1", "client 2", "server 1", "server 2", "plugin"]);
  });

  it.each(["1.1", "2"] as const)("see the verified certificate of the peer over HTTP/%s", async (httpVersion) => {
    const { ca, server: own, client: theirs } = await createCertificates();
    await using server = await serveEcho({
      tls: { ...own, ca, requestCert: true, rejectUnauthorized: true },
      impls: {
        echo: {
          ...createEcho(),
          unary(_, { values }) {
            const tls = values.get(peerKey)?.tls;
            return { text: `${tls?.authorized} ${tls?.certificate()?.subject}` };
          },
        },
      },
    });
    await using client = echoClient(server.endpoint, { httpVersion, tls: { ca, ...theirs } });
    expect((await (await client.dispense("echo")).unary({})).text).toBe("true CN=test-client");
  });
});

describe("closing", () => {
  it("lets a call in flight finish, tells watchers, and accepts nothing new", async () => {
    const arrived = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const server = await serveEcho({
      impls: {
        echo: {
          ...createEcho(),
          async unary() {
            arrived.resolve();
            await release.promise;
            return { text: "finished" };
          },
        },
      },
    });
    await using client = echoClient(server.endpoint);
    const call = (await client.dispense("echo")).unary({});
    await arrived.promise;
    const watch = createClient(
      HealthService,
      openCallTransport({ endpoint: parseEndpoint(server.endpoint), httpVersion: "2" }).transport,
    );
    const statuses: ServingStatus[] = [];
    let closing: Promise<void> | undefined;
    for await (const { status } of watch.watch({})) {
      statuses.push(status);
      closing ??= server.close({ graceMs: 30_000 });
    }
    expect(statuses).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
    expect(server.draining.aborted).toBe(true);
    await expect(fetch(`${server.endpoint}/healthz`)).rejects.toThrow();
    release.resolve();
    expect((await call).text).toBe("finished");
    await closing;
    await server.closed;
  });

  it("aborts what runs longer than the grace, and answers its caller", async () => {
    const clock = new FakeClock();
    const arrived = Promise.withResolvers<void>();
    const server = await serveEcho({
      clock,
      impls: {
        echo: {
          ...createEcho(),
          unary: (_, { signal }) => {
            arrived.resolve();
            return new Promise((_resolve, reject) => {
              signal.addEventListener("abort", () => reject(signal.reason), { once: true });
            });
          },
        },
      },
    });
    await using client = echoClient(server.endpoint);
    const call = (await client.dispense("echo")).unary({}).catch((reason: unknown) => ConnectError.from(reason));
    await arrived.promise;
    const closing = server.close({ graceMs: 60_000 });
    const shorter = server.close({ graceMs: 5_000 });
    await clock.advance(5_000);
    expect(await call).toMatchObject({ code: Code.Unavailable });
    await Promise.all([closing, shorter]);
    expect(clock.pending).toBe(0);
  });

  it("ends every connection, idle and silent ones included", async () => {
    const server = await serveEcho();
    const { port } = new URL(server.endpoint);
    const silent = createConnection({ port: Number(port) });
    await once(silent, "connect");
    const ended = once(silent, "close");
    silent.resume();
    await server.close();
    await ended;
  });

  it.each([
    { signal: "SIGTERM" as const, exit: "SIGTERM" },
    { signal: "SIGINT" as const, exit: "SIGINT" },
  ])("happens on $signal, and then the process ends by it", async ({ signal, exit }) => {
    const program = fileURLToPath(new URL("./fixtures/slow-server.ts", import.meta.url));
    const child = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
    const lines: string[] = [];
    let tell = () => {};
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      lines.push(...text.split("\n").filter((line) => line !== ""));
      tell();
    });
    const until = async (count: number) => {
      while (lines.length < count) await new Promise<void>((resolve) => (tell = resolve));
    };
    await until(1);
    await using client = echoClient(lines[0] ?? "");
    const call = (await client.dispense("echo")).unary({ text: "slow" });
    await until(2);
    const exited = once(child, "exit");
    child.kill(signal);
    expect((await call).text).toBe("slow, but finished");
    const [, by] = await exited;
    expect(by).toBe(exit);
  });
});
