import { definePlugin, type ServerTlsOptions, serve } from "@cpg/core";
import { conformanceService } from "./conformance-service.ts";
import type { ServerCompatRequest } from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { ConformanceService } from "./gen/connectrpc/conformance/v1/service_pb.ts";
import { suiteRegistry } from "./translation.ts";

export interface ServerUnderTest {
  readonly port: number;
  close(): Promise<void>;
}

const maxResponseBytes = 4 * 1024 * 1024;

const conformance = definePlugin({ name: "conformance", version: "1.0.0", service: ConformanceService });

/** `serve` of @cpg/core. One port serves HTTP/1.1 and HTTP/2, so the version asked for is there. */
export async function openServerUnderTest(request: ServerCompatRequest): Promise<ServerUnderTest> {
  const server = await serve({
    plugins: { conformance },
    impls: { conformance: conformanceService },
    listen: { port: 0 },
    tls: tlsOf(request),
    registry: suiteRegistry,
    maxMessageBytes: request.messageReceiveLimit || undefined,
    maxResponseBytes, // the suite limits only what is received, and answers hold what they answer
    link: false,
    handleSignals: false,
    environment: {},
  });
  return { port: Number(new URL(server.endpoint).port), close: () => server.close({ graceMs: 0 }) };
}

export function tlsOf({ useTls, serverCreds, clientTlsCert }: ServerCompatRequest): ServerTlsOptions | undefined {
  if (!useTls || serverCreds === undefined) return undefined;
  const own = { cert: Buffer.from(serverCreds.cert), key: Buffer.from(serverCreds.key) };
  if (clientTlsCert.length === 0) return own;
  return { ...own, ca: Buffer.from(clientTlsCert), requestCert: true, rejectUnauthorized: true };
}
