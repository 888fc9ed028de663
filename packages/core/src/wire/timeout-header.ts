import { MAX_TIMER_MS } from "./call-transport-options.ts";

const connectHeader = "connect-timeout-ms";
const grpcHeader = "grpc-timeout";
const msByUnit = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1_000],
]);
/** https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests */
const maxGrpcDigits = 8;

/** Longest time-out for Connect to count down: a whole number of ms, as the protocols have it. Infinity: none. */
export function boundedTimeout(timeoutMs: number | undefined): number | undefined {
  if (timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY) return undefined;
  return Math.min(Math.ceil(timeoutMs), MAX_TIMER_MS);
}

/** A time-out that is too long for gRPC's ms is told in seconds; Connect would send what no server takes. */
export function shortenGrpcTimeout(headers: Headers): void {
  const timeout = headers.get(grpcHeader);
  if (timeout === null || timeout.length <= maxGrpcDigits + 1) return;
  const ms = Number(timeout.slice(0, -1));
  headers.set(grpcHeader, `${Math.ceil(ms / 1000)}S`);
}

/** Cuts a time-out that no timer can run to the longest one that can: Node would let it fire at once. */
export function limitTimeout(headers: Headers): void {
  const connect = headers.get(connectHeader);
  if (connect !== null && /^\d{10}$/.test(connect) && Number(connect) > MAX_TIMER_MS) {
    headers.set(connectHeader, `${MAX_TIMER_MS}`);
  }
  const grpc = headers.get(grpcHeader);
  if (grpc === null || !/^\d{1,8}[HMS]$/.test(grpc)) return;
  const ms = Number(grpc.slice(0, -1)) * (msByUnit.get(grpc.slice(-1)) ?? 0);
  if (ms > MAX_TIMER_MS) headers.set(grpcHeader, `${Math.floor(MAX_TIMER_MS / 1000)}S`);
}
