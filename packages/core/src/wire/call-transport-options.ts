import type { SecureContext } from "node:tls";
import { systemClock } from "@cpg/resilience";
import { readSecureContext } from "../internal/secure-context.ts";
import type { CallTransportOptions } from "./call-transport.ts";
import type { ClientTlsOptions } from "./dial.ts";

/** Bytes of one message, in and out. */
export const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Connect counts message bytes in 32 bits. */
const maxMessageLimit = 2 ** 32 - 1;
/** Longest time that a timer of Node can run; a longer one would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export type ResolvedCallTransportOptions = ReturnType<typeof resolveCallTransportOptions>;

/** @throws {TypeError} {RangeError} naming the option. */
export function resolveCallTransportOptions(options: CallTransportOptions) {
  const { endpoint, httpVersion, protocol = "connect", json = false, interceptors = [], clock = systemClock } = options;
  const {
    connectTimeoutMs = 10_000,
    callTimeoutMs = 60_000,
    pingIntervalMs = 20_000,
    pingTimeoutMs = 15_000,
  } = options;
  const { idleTimeoutMs = 300_000, maxSockets = 256, maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES } = options;
  const nearby = endpoint.kind === "unix" || endpoint.loopback;
  const { compression = !nearby, sendCompression, compressMinBytes = 1024, httpGet = false, registry, tls } = options;

  checkOneOf("httpVersion", httpVersion, ["1.1", "2"]);
  checkOneOf("protocol", protocol, ["connect", "grpc", "grpc-web"]);
  if (sendCompression !== undefined) checkOneOf("sendCompression", sendCompression, ["gzip", "br"]);
  checkRange("connectTimeoutMs", connectTimeoutMs, 1, MAX_TIMER_MS);
  checkRange("callTimeoutMs", callTimeoutMs, 0, MAX_TIMER_MS);
  checkRange("pingIntervalMs", pingIntervalMs, 0, MAX_TIMER_MS);
  checkRange("pingTimeoutMs", pingTimeoutMs, 1, MAX_TIMER_MS);
  checkRange("idleTimeoutMs", idleTimeoutMs, 1, MAX_TIMER_MS);
  checkRange("maxSockets", maxSockets, 1, 65_535);
  checkMessageBytes("maxMessageBytes", maxMessageBytes);
  checkRange("compressMinBytes", compressMinBytes, 0, maxMessageLimit);
  const secure = endpoint.kind === "tcp" && endpoint.secure;
  if (tls !== undefined && !secure) throw new TypeError("tls is for an https endpoint, and this one is not");

  const baseUrl = endpoint.kind === "unix" ? "http://localhost" : endpoint.url;
  return {
    endpoint,
    secure,
    baseUrl,
    origin: new URL(baseUrl).origin,
    httpVersion,
    protocol,
    json,
    registry,
    interceptors,
    tls,
    secureContext: secure ? secureContextOf(tls) : undefined,
    connectTimeoutMs,
    callTimeoutMs,
    pingIntervalMs,
    pingTimeoutMs,
    idleTimeoutMs,
    maxSockets,
    maxMessageBytes,
    compression,
    sendCompression,
    compressMinBytes,
    httpGet,
    clock,
  } as const;
}

/** @throws {RangeError} naming the option. */
export function checkMessageBytes(option: string, bytes: number): void {
  checkRange(option, bytes, 1, maxMessageLimit);
}

/** @throws {TypeError} naming the field of `tls`. */
export function secureContextOf(options: ClientTlsOptions = {}): SecureContext {
  const { ca, cert, key, passphrase, crl, minVersion = "TLSv1.2", servername } = options;
  // Node throws for it only when the socket is on its way already, and leaves that socket to nobody.
  if (servername !== undefined && typeof servername !== "string")
    throw new TypeError("tls.servername must be a string");
  return readSecureContext({
    minVersion,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(crl === undefined ? {} : { crl }),
  });
}

function checkOneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) {
    throw new TypeError(`${name} must be one of ${allowed.join(", ")}, got ${JSON.stringify(value)}`);
  }
}

/** @throws {RangeError} naming the option. */
export function checkRange(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be a whole number from ${min} to ${max}, got ${value}`);
  }
}
