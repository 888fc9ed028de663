import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Listener, type ListenerOptions, openListener } from "../src/listener/listener.ts";
import { openCallTransport } from "../src/wire/call-transport.ts";
import { parseEndpoint } from "../src/wire/endpoint.ts";
import { createRpcHandler } from "../src/wire/rpc-handler.ts";
import { createCertificates, type TestCertificates } from "./support/certificates.ts";
import { collect } from "./support/collect.ts";
import { createEcho, EchoSchema, EchoService } from "./support/echo-service.ts";

let certificates: TestCertificates;
let directory: string;
beforeAll(async () => {
  certificates = await createCertificates();
  directory = await mkdtemp(join(tmpdir(), "cpg-listener-"));
});
afterAll(() => rm(directory, { recursive: true }));

describe.each(["tcp", "tls", "unix"] as const)("listener on %s", (kind) => {
  describe.each(["1.1", "2"] as const)("HTTP/%s", (httpVersion) => {
    it.each(["connect", "grpc", "grpc-web"] as const)("%s: unary and streams", async (protocol) => {
      const { ca, server, client } = certificates;
      const errors: unknown[] = [];
      await using listener = await openListener({
        address: kind === "unix" ? { socketPath: join(directory, "a.sock") } : { port: 0 },
        tls: kind === "tls" ? { ...server, ca, requestCert: true } : undefined,
        handler: createRpcHandler({
          routes: (router) => router.service(EchoService, createEcho()),
          fallback: (_, response) => void response.end(),
        }),
        onError: (error) => errors.push(error),
      });
      const calls = openCallTransport({
        endpoint: parseEndpoint(listener.endpoint),
        httpVersion,
        protocol,
        tls: kind === "tls" ? { ca, ...client } : undefined,
      });
      const echo = createClient(EchoService, calls.transport);
      expect(await echo.unary({ text: "hello" })).toMatchObject({ text: "hello" });
      expect((await collect(echo.serverStream({ count: 3 }))).map(({ count }) => count)).toEqual([1, 2, 3]);
      await calls.close();
      expect(errors).toEqual([]);
    });
  });
});
