import { once } from "node:events";
import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server, createSecureServer as createHttp2TlsServer } from "node:http2";
import { createServer as createHttp1TlsServer } from "node:https";
import { compressionBrotli, compressionGzip, connectNodeAdapter } from "@connectrpc/connect-node";
import { conformanceService } from "./conformance-service.ts";
import { HTTPVersion } from "./gen/connectrpc/conformance/v1/config_pb.ts";
import type { ServerCompatRequest } from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { ConformanceService } from "./gen/connectrpc/conformance/v1/service_pb.ts";
import { type ServerUnderTest, tlsOf } from "./open-server.ts";
import { suiteRegistry } from "./translation.ts";

/** Node's own servers with Connect's adapter, to see whether a failure is theirs. */
export async function openPlainServer(request: ServerCompatRequest): Promise<ServerUnderTest> {
  const adapter = connectNodeAdapter({
    routes: (router) => router.service(ConformanceService, conformanceService),
    acceptCompression: [compressionGzip, compressionBrotli],
    jsonOptions: { registry: suiteRegistry },
    ...(request.messageReceiveLimit ? { readMaxBytes: request.messageReceiveLimit } : {}),
  });
  const { cert, key, ca } = tlsOf(request) ?? {};
  const asks = request.clientTlsCert.length > 0;
  const tls = { cert, key, ca, requestCert: asks, rejectUnauthorized: asks };
  const http2 = request.httpVersion === HTTPVersion.HTTP_VERSION_2;
  const server = request.useTls
    ? http2
      ? createHttp2TlsServer(tls, adapter)
      : createHttp1TlsServer(tls, adapter)
    : http2
      ? createHttp2Server(adapter)
      : createHttp1Server(adapter);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  // The runner is done with the server when it asks it to end; open connections would hold close() up.
  return { port: address.port, close: () => Promise.resolve() };
}
