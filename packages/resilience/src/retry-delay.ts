import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError } from "@connectrpc/connect";
import { type Clock, systemClock } from "./clock.ts";
import { type RetryInfo, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.ts";

/** What an error says about another attempt. "never": there must be none. */
export type RetryDelay =
  | { readonly kind: "none" }
  | { readonly kind: "after"; readonly ms: number }
  | { readonly kind: "never" };

const pushbackName = "grpc-retry-pushback-ms";
const retryAfterName = "retry-after";

/** Largest 32-bit integer: the longest pushback that gRPC allows, about 24 days. */
const maxDelayMs = 2 ** 31 - 1;

/**
 * An error that tells its caller when to come back, in every way that callers know: as detail google.rpc.RetryInfo, and
 * as metadata `retry-after`, in whole seconds rounded up, and `grpc-retry-pushback-ms`.
 * @param retryAfterMs at least 0; fractions are rounded up, more than 24 days is 24 days. Infinity: never, which only
 * `grpc-retry-pushback-ms` can say.
 * @param cause stays in this process.
 * @throws {RangeError} if `retryAfterMs` is negative or NaN.
 */
export function retryLater(message: string, code: Code, retryAfterMs: number, cause?: unknown): ConnectError {
  if (!(retryAfterMs >= 0)) throw new RangeError(`retryAfterMs must be at least 0, got ${retryAfterMs}`);
  if (retryAfterMs === Infinity) return new ConnectError(message, code, { [pushbackName]: "-1" }, undefined, cause);
  const ms = Math.min(Math.ceil(retryAfterMs), maxDelayMs);
  const metadata = { [retryAfterName]: `${Math.ceil(ms / 1000)}`, [pushbackName]: `${ms}` };
  const details = [{ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(ms) } }];
  return new ConnectError(message, code, metadata, details, cause);
}

/**
 * When the server wants to see the call again. Looks at `grpc-retry-pushback-ms`, then at google.rpc.RetryInfo, then at
 * `retry-after` in seconds or as an HTTP date; the first that is there counts. A pushback that is negative or malformed
 * means never, as in gRFC A6 (https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback); others that
 * are malformed count as absent. `ms` is between 0 and 2^31 - 1, so callers set a bound of their own.
 * @param clock for dates only. Default `systemClock`.
 */
export function readRetryDelay(error: ConnectError, clock: Clock = systemClock): RetryDelay {
  const pushback = error.metadata.get(pushbackName);
  if (pushback !== null) return readPushback(pushback);
  const [info] = error.findDetails(RetryInfoSchema);
  const ms = (info && infoMs(info)) ?? retryAfterMs(error.metadata.get(retryAfterName), clock);
  return ms === undefined ? { kind: "none" } : { kind: "after", ms: Math.min(ms, maxDelayMs) };
}

function readPushback(value: string): RetryDelay {
  const ms = /^\d{1,10}$/.test(value) ? Number(value) : Infinity;
  return ms <= maxDelayMs ? { kind: "after", ms } : { kind: "never" };
}

function infoMs({ retryDelay }: RetryInfo): number | undefined {
  if (retryDelay === undefined) return undefined;
  const ms = Number(retryDelay.seconds) * 1000 + Math.ceil(retryDelay.nanos / 1_000_000);
  return ms >= 0 ? ms : undefined;
}

/** RFC 9110, section 10.2.3; of the three forms of dates the one that is not obsolete. */
function retryAfterMs(value: string | null, clock: Clock): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value)) return undefined;
  const ms = Date.parse(value) - clock.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
