import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { shakeHands } from "../src/handshake/handshake-client.ts";

async function startHttpServer(listener: RequestListener) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function failure(baseUrl: string, useBinaryFormat = true): Promise<ConnectError> {
  const transport = createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat });
  try {
    await shakeHands(transport, { plugins: {}, appProtocolVersions: [1, 2], timeoutMs: 20_000 });
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("the handshake succeeded");
}

describe("a handshake with what is no plugin server", () => {
  it.each([
    { status: 404, type: "text/plain", body: "not found", code: Code.Unimplemented, says: /no plugin server/ },
    {
      status: 501,
      type: "application/json",
      body: '{"code":"unimplemented"}',
      code: Code.Unimplemented,
      says: /no plugin server/,
    },
    { status: 405, type: "text/html", body: "<h1>", code: Code.Unknown, says: /HTTP 405.*plugin server\?/ },
    { status: 200, type: "text/html", body: "<h1>", code: Code.Unknown, says: /text\/html.*plugin server\?/ },
    { status: 302, type: "text/html", body: "", code: Code.Unknown, says: /HTTP 302.*plugin server\?/ },
    { status: 200, type: "application/proto", body: "\u0001garbage", code: Code.Unknown, says: /plugin server\?/ },
    {
      status: 200,
      type: "application/proto",
      body: "",
      code: Code.FailedPrecondition,
      says: /version 0 of the plugin protocol/,
    },
    { status: 503, type: "text/plain", body: "", code: Code.Unavailable, says: /503/ },
    { status: 401, type: "text/plain", body: "", code: Code.Unauthenticated, says: /401/ },
  ])("says what it got: $status $type $body", async ({ status, type, body, code, says }) => {
    await using server = await startHttpServer((request, response) => {
      request.resume();
      response.writeHead(status, { "content-type": type, location: "/elsewhere" });
      response.end(body);
    });
    const error = await failure(server.baseUrl);
    expect(Code[error.code]).toBe(Code[code]);
    expect(error.message).toMatch(says);
  });

  it("repeats no more than a little of what a server says", async () => {
    await using server = await startHttpServer((request, response) => {
      request.resume();
      response.writeHead(500, { "content-type": "application/json" });
      response.end(JSON.stringify({ code: "internal", message: "x".repeat(100_000) }));
    });
    expect((await failure(server.baseUrl)).message.length).toBeLessThan(400);
  });

  it("fails with unavailable where nobody listens", async () => {
    const server = await startHttpServer(() => {});
    await server[Symbol.asyncDispose]();
    expect((await failure(server.baseUrl)).code).toBe(Code.Unavailable);
  });
});

/** As a host of another make that knows a single version and no field of ours. */
function oldHost(version: number, asked: unknown[]): RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { appProtocolVersion } = JSON.parse(Buffer.concat(chunks).toString());
      asked.push(appProtocolVersion);
      const ok = appProtocolVersion === version;
      response.writeHead(ok ? 200 : 400, { "content-type": "application/json" });
      response.end(
        JSON.stringify(
          ok
            ? { coreProtocolVersion: 1, appProtocolVersion: version, serverMetadata: { server_version: "0.1.0" } }
            : {
                code: "failed_precondition",
                message: `version mismatch: client=${appProtocolVersion}, server=${version}`,
              },
        ),
      );
    });
  };
}

describe("a handshake with a host that knows a single version", () => {
  it("tries our versions, highest first", async () => {
    const asked: unknown[] = [];
    await using server = await startHttpServer(oldHost(1, asked));
    const transport = createConnectTransport({ baseUrl: server.baseUrl, httpVersion: "1.1", useBinaryFormat: false });
    const result = await shakeHands(transport, { plugins: {}, appProtocolVersions: [1, 2, 3] });
    expect(asked).toEqual([3, 2, 1]);
    expect(result).toMatchObject({ appProtocolVersion: 1, http2: false, identity: undefined });
  });

  it("repeats what the host says when none fits", async () => {
    const asked: unknown[] = [];
    await using server = await startHttpServer(oldHost(7, asked));
    const error = await failure(server.baseUrl, false);
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.message).toMatch(/2, 1, and does not name its own \(it says: version mismatch: client=1, server=7\)/);
    expect(asked).toEqual([2, 1]);
  });
});
