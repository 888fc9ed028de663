const connectHeader = "connect-timeout-ms";
const grpcHeader = "grpc-timeout";

const msByUnit = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1_000],
  ["m", 1],
  ["u", 1e-3],
  ["n", 1e-6],
]);

/** What the protocols have room for. */
const maxConnectMs = 9_999_999_999;
const maxGrpcNumber = 99_999_999;

/**
 * The time that a call has, as its headers tell the server, in ms; undefined if they do not, or in a malformed way.
 * @param isGrpc saves the look at the header of the other protocol.
 */
export function readTimeout(header: Headers, isGrpc?: boolean): number | undefined {
  const connect = isGrpc === true ? null : header.get(connectHeader);
  if (connect !== null) return /^\d{1,10}$/.test(connect) ? Number(connect) : undefined;
  const grpc = isGrpc === false ? null : header.get(grpcHeader);
  if (grpc === null || !/^\d{1,8}[HMSmun]$/.test(grpc)) return undefined;
  return Number(grpc.slice(0, -1)) * (msByUnit.get(grpc.slice(-1)) ?? 0);
}

/** Tells the server, in the protocol of the call, how much time it has: whole ms, rounded up, at least 1. */
export function writeTimeout(header: Headers, ms: number, isGrpc = usesGrpc(header)): void {
  const wholeMs = Math.max(1, Math.ceil(ms));
  if (!isGrpc) {
    header.set(connectHeader, `${Math.min(wholeMs, maxConnectMs)}`);
  } else if (wholeMs <= maxGrpcNumber) {
    header.set(grpcHeader, `${wholeMs}m`);
  } else {
    header.set(grpcHeader, `${Math.min(Math.ceil(wholeMs / 1000), maxGrpcNumber)}S`);
  }
}

/** Whether a call is one of gRPC or gRPC-Web. */
export function usesGrpc(header: Headers): boolean {
  return header.get("content-type")?.startsWith("application/grpc") === true;
}
