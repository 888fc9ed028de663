import type { Transport } from "@connectrpc/connect";
import { type CallTransport, type CallTransportOptions, openCallTransport, parseEndpoint } from "@cpg/core";
import type { ClientCompatRequest } from "./gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { Codec, Compression, HTTPVersion, Protocol } from "./gen/connectrpc/conformance/v1/config_pb.ts";
import { suiteRegistry } from "./translation.ts";

/** Makes transports for the calls of the suite. */
export interface Transports {
  transportFor(request: ClientCompatRequest): Transport;
  close(): Promise<void>;
}

const protocols: Readonly<Record<number, CallTransportOptions["protocol"]>> = {
  [Protocol.CONNECT]: "connect",
  [Protocol.GRPC]: "grpc",
  [Protocol.GRPC_WEB]: "grpc-web",
};
const compressions: Readonly<Record<number, CallTransportOptions["sendCompression"]>> = {
  [Compression.GZIP]: "gzip",
  [Compression.BR]: "br",
};

/** The call transport of @cpg/core, one for all calls that have the same settings, so that connections are reused. */
export function createTransportsUnderTest(): Transports {
  const open = new Map<string, CallTransport>();
  return {
    transportFor(request) {
      const settings = settingsOf(request);
      const key = JSON.stringify({ ...settings, endpoint: [request.host, request.port] });
      const known = open.get(key) ?? openCallTransport({ ...settings, registry: suiteRegistry });
      open.set(key, known);
      return known.transport;
    },
    async close() {
      await Promise.all([...open.values()].map((transport) => transport.close()));
    },
  };
}

function settingsOf(request: ClientCompatRequest): CallTransportOptions {
  const secure = request.serverTlsCert.length > 0;
  const credentials = request.clientTlsCreds;
  const tls = {
    ca: Buffer.from(request.serverTlsCert),
    ...(credentials ? { cert: Buffer.from(credentials.cert), key: Buffer.from(credentials.key) } : {}),
  };
  return {
    endpoint: parseEndpoint(`${secure ? "https" : "http"}://${request.host}:${request.port}`),
    httpVersion: request.httpVersion === HTTPVersion.HTTP_VERSION_2 ? "2" : "1.1",
    protocol: protocols[request.protocol],
    json: request.codec === Codec.JSON,
    tls: secure ? tls : undefined,
    callTimeoutMs: 0, // the runner checks that a call without time-out sends none
    maxMessageBytes: request.messageReceiveLimit || undefined,
    compression: compressions[request.compression] !== undefined,
    sendCompression: compressions[request.compression],
    compressMinBytes: 0,
    httpGet: request.useGetHttpMethod,
  };
}
