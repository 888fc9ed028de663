import type { Transport } from "@connectrpc/connect";
import {
  compressionBrotli,
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import type { ClientCompatRequest } from "./gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { Codec, Compression, HTTPVersion, Protocol } from "./gen/connectrpc/conformance/v1/config_pb.ts";
import { suiteRegistry } from "./translation.ts";
import type { Transports } from "./transports-under-test.ts";

/** Connect's own transports, to see whether a failure is theirs. */
export function createPlainTransports(): Transports {
  return { transportFor: plainTransport, close: () => Promise.resolve() };
}

function plainTransport(request: ClientCompatRequest): Transport {
  const secure = request.serverTlsCert.length > 0;
  const credentials = request.clientTlsCreds;
  const compression =
    request.compression === Compression.GZIP
      ? compressionGzip
      : request.compression === Compression.BR
        ? compressionBrotli
        : undefined;
  const options = {
    baseUrl: `${secure ? "https" : "http"}://${request.host}:${request.port}`,
    httpVersion: request.httpVersion === HTTPVersion.HTTP_VERSION_2 ? ("2" as const) : ("1.1" as const),
    useBinaryFormat: request.codec === Codec.PROTO,
    acceptCompression: compression ? [compression] : [],
    ...(compression ? { sendCompression: compression } : {}),
    compressMinBytes: -1, // else an empty message is not compressed
    jsonOptions: { registry: suiteRegistry },
    ...(request.messageReceiveLimit ? { readMaxBytes: request.messageReceiveLimit } : {}),
    nodeOptions: secure
      ? {
          ca: Buffer.from(request.serverTlsCert),
          ...(credentials ? { cert: Buffer.from(credentials.cert), key: Buffer.from(credentials.key) } : {}),
        }
      : {},
  };
  switch (request.protocol) {
    case Protocol.GRPC:
      return createGrpcTransport(options);
    case Protocol.GRPC_WEB:
      return createGrpcWebTransport(options);
    default:
      return createConnectTransport({ ...options, useHttpGet: request.useGetHttpMethod });
  }
}
