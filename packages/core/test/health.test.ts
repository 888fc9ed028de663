import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { Code, createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { definePlugin } from "../src/definition/plugin-definition.ts";
import { Logger } from "../src/gen/capability/logger/v1/logger_pb.ts";
import { HealthService, ServingStatus } from "../src/gen/connectplugin/health/v1/health_pb.ts";
import { serve } from "../src/server/serve.ts";
import { openCallTransport } from "../src/wire/call-transport.ts";
import { parseEndpoint } from "../src/wire/endpoint.ts";

const logger = definePlugin({ name: "logger", version: "1.0.0", service: Logger });

function start() {
  return serve({
    plugins: { logger },
    impls: { logger: { log: () => ({}) } },
    listen: { port: 0 },
    environment: {},
    handleSignals: false,
    link: false,
    graceMs: 1_000,
  });
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly allow: unknown;
}

function ask(version: "1.1" | "2", endpoint: string, method: string, path: string): Promise<Answer> {
  return version === "2" ? askHttp2(endpoint, method, path) : askHttp1(endpoint, method, path);
}

function askHttp1(endpoint: string, method: string, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(endpoint + path, { method, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body, allow: response.headers.allow }));
      response.on("error", reject);
    });
    request.on("error", reject).end();
  });
}

function askHttp2(endpoint: string, method: string, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(endpoint).on("error", reject);
    const stream = session.request({ ":method": method, ":path": path }).on("error", reject);
    let status = 0;
    let allow: unknown;
    let body = "";
    stream.on("response", (headers) => {
      status = headers[":status"] ?? 0;
      allow = headers.allow;
    });
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      body += chunk;
    });
    stream.on("end", () => {
      session.close(() => resolve({ status, body, allow }));
    });
    stream.end();
  });
}

describe.each(["1.1", "2"] as const)("over HTTP/%s", (version) => {
  it("/healthz, /readyz and /health follow the health of the server", async () => {
    await using server = await start();
    const statuses = async () => {
      const answers = ["/healthz", "/readyz", "/health"].map((path) => ask(version, server.endpoint, "GET", path));
      return (await Promise.all(answers)).map(({ status, body }) => `${status} ${body}`);
    };
    expect(await statuses()).toEqual(["200 ok\n", "200 ok\n", "200 ok\n"]);
    server.health.set("logger", "not-serving");
    expect(await statuses()).toEqual(["200 ok\n", "503 not serving\n", "503 not serving\n"]);
    server.health.set("logger", "serving");
    server.health.setHealth({ state: "degraded", reason: "", unavailableDependencies: [] });
    expect(await statuses()).toEqual(["200 ok\n", "200 ok\n", "200 ok\n"]);
  });

  it.each([
    { method: "HEAD", path: "/readyz", status: 200, allow: undefined },
    { method: "POST", path: "/readyz", status: 405, allow: "GET, HEAD" },
    { method: "DELETE", path: "/healthz", status: 405, allow: "GET, HEAD" },
    { method: "GET", path: "/readyz/", status: 404, allow: undefined },
    { method: "GET", path: "/readyz?verbose", status: 200, allow: undefined },
  ])("$method $path answers $status", async ({ method, path, status, allow }) => {
    await using server = await start();
    expect(await ask(version, server.endpoint, method, path)).toMatchObject({ status, allow });
  });

  it("Check knows the server and its plugins, and nothing else", async () => {
    await using server = await start();
    const calls = openCallTransport({ endpoint: parseEndpoint(server.endpoint), httpVersion: version });
    const health = createClient(HealthService, calls.transport);
    expect(await health.check({ service: "" })).toMatchObject({ status: ServingStatus.SERVING });
    expect(await health.check({ service: "logger" })).toMatchObject({ status: ServingStatus.SERVING });
    server.health.set("logger", "not-serving");
    expect(await health.check({ service: "logger" })).toMatchObject({ status: ServingStatus.NOT_SERVING });
    await expect(health.check({ service: "other" })).rejects.toMatchObject({ code: Code.NotFound });
    await calls.close();
  });

  it.each([
    { service: "", first: ServingStatus.SERVING },
    { service: "other", first: ServingStatus.SERVICE_UNKNOWN },
  ])('Watch of "$service" ends with NOT_SERVING when the server closes', async ({ service, first }) => {
    const server = await start();
    const calls = openCallTransport({ endpoint: parseEndpoint(server.endpoint), httpVersion: version });
    const seen: ServingStatus[] = [];
    let closing: Promise<void> | undefined;
    for await (const { status } of createClient(HealthService, calls.transport).watch({ service })) {
      seen.push(status);
      closing ??= server.close();
    }
    expect(seen).toEqual([first, ServingStatus.NOT_SERVING]);
    await closing;
    await calls.close();
  });

  it("Watch sends changes; a watcher that leaves makes room", async () => {
    await using server = await start();
    const calls = openCallTransport({ endpoint: parseEndpoint(server.endpoint), httpVersion: version, maxSockets: 2 });
    const health = createClient(HealthService, calls.transport);
    // More than there is room for at a time over HTTP/1.1.
    for (let round = 0; round < 5; round += 1) {
      const left = new AbortController();
      const watch = health.watch({ service: "logger" }, { signal: left.signal })[Symbol.asyncIterator]();
      expect(await watch.next()).toMatchObject({ value: { status: ServingStatus.SERVING } });
      server.health.set("logger", "not-serving");
      expect(await watch.next()).toMatchObject({ value: { status: ServingStatus.NOT_SERVING } });
      server.health.set("logger", "serving");
      left.abort();
    }
    await calls.close();
  });
});
