import { openListener, type ServerTlsOptions } from "../../core/src/listener/listener.ts";
import { createRpcHandler } from "../../core/src/wire/rpc-handler.ts";
import { conformanceRoutes } from "./conformance-service.ts";
import type { ServerCompatRequest } from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { suiteRegistry } from "./translation.ts";

export interface ServerUnderTest {
  readonly port: number;
  close(): Promise<void>;
}

/** The listener and the RPC handler of @cpg/core. One port serves HTTP/1.1 and HTTP/2, so the version asked for is there. */
export async function openServerUnderTest(request: ServerCompatRequest): Promise<ServerUnderTest> {
  const tls = tlsOf(request);
  const listener = await openListener({
    address: { host: "127.0.0.1", port: 0 },
    ...(tls ? { tls } : {}),
    handler: createRpcHandler({
      routes: conformanceRoutes,
      registry: suiteRegistry,
      maxMessageBytes: request.messageReceiveLimit || undefined,
      fallback: (_request, response) => {
        response.writeHead(404);
        response.end();
      },
    }),
  });
  return { port: Number(new URL(listener.endpoint).port), close: () => listener.close() };
}

export function tlsOf({ useTls, serverCreds, clientTlsCert }: ServerCompatRequest): ServerTlsOptions | undefined {
  if (!useTls || serverCreds === undefined) return undefined;
  const own = { cert: Buffer.from(serverCreds.cert), key: Buffer.from(serverCreds.key) };
  if (clientTlsCert.length === 0) return own;
  return { ...own, ca: Buffer.from(clientTlsCert), requestCert: true, rejectUnauthorized: true };
}
