import { Code, ConnectError } from "@connectrpc/connect";
import { errorFromJson, errorToJson } from "@connectrpc/connect/protocol-connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RetryInfoSchema } from "./gen/google/rpc/error_details_pb.ts";
import { type RetryDelay, readRetryDelay, retryLater } from "./retry-delay.ts";
import { FakeClock } from "./testing/index.ts";

const clock = new FakeClock(Date.parse("Tue, 14 Nov 2023 22:13:20 GMT"));
const none: RetryDelay = { kind: "none" };
const never: RetryDelay = { kind: "never" };
const after = (ms: number): RetryDelay => ({ kind: "after", ms });

const info = (seconds: bigint, nanos = 0) => [{ desc: RetryInfoSchema, value: { retryDelay: { seconds, nanos } } }];
const unavailable = (metadata: Record<string, string>, details: ReturnType<typeof info> = []) =>
  new ConnectError("down", Code.Unavailable, metadata, details);

/** As it is on the other side of a wire. */
function sent(error: ConnectError): ConnectError {
  return errorFromJson(errorToJson(error, undefined), new Headers(error.metadata), new ConnectError("malformed"));
}

describe("retryLater", () => {
  it.each([
    { ms: 0, seconds: "0", whole: "0" },
    { ms: 0.2, seconds: "1", whole: "1" },
    { ms: 1_000, seconds: "1", whole: "1000" },
    { ms: 1_000.5, seconds: "2", whole: "1001" },
    { ms: 1e15, seconds: "2147484", whole: "2147483647" },
  ])("$ms ms is retry-after $seconds and pushback $whole", ({ ms, seconds, whole }) => {
    const cause = new Error("full");
    const error = retryLater("slow down", Code.ResourceExhausted, ms, cause);
    expect([error.code, error.rawMessage, error.cause]).toEqual([Code.ResourceExhausted, "slow down", cause]);
    expect(Object.fromEntries(error.metadata)).toEqual({ "retry-after": seconds, "grpc-retry-pushback-ms": whole });
  });

  it("says never for Infinity", () => {
    const error = retryLater("gone", Code.Unavailable, Infinity);
    expect(Object.fromEntries(error.metadata)).toEqual({ "grpc-retry-pushback-ms": "-1" });
    expect([readRetryDelay(error), error.details]).toEqual([never, []]);
  });

  it.each([-1, Number.NaN])("refuses %d", (ms) => {
    expect(() => retryLater("", Code.Unavailable, ms)).toThrow(
      new RangeError(`retryAfterMs must be at least 0, got ${ms}`),
    );
  });

  it("is read on the other side of a wire, in each of its three ways", () => {
    const error = sent(retryLater("down", Code.Unavailable, 1_234));
    expect(readRetryDelay(error)).toEqual(after(1_234));
    error.metadata.delete("grpc-retry-pushback-ms");
    expect(readRetryDelay(error)).toEqual(after(1_234));
    const bare = unavailable({ "retry-after": error.metadata.get("retry-after") ?? "" });
    expect(readRetryDelay(bare)).toEqual(after(2_000));
  });
});

describe("readRetryDelay", () => {
  it.each<{ metadata: Record<string, string>; delay: RetryDelay }>([
    { metadata: {}, delay: none },
    { metadata: { "grpc-retry-pushback-ms": "0" }, delay: after(0) },
    { metadata: { "grpc-retry-pushback-ms": "250" }, delay: after(250) },
    { metadata: { "grpc-retry-pushback-ms": "2147483647" }, delay: after(2_147_483_647) },
    { metadata: { "grpc-retry-pushback-ms": "2147483648" }, delay: never },
    { metadata: { "grpc-retry-pushback-ms": "-1" }, delay: never },
    { metadata: { "grpc-retry-pushback-ms": "" }, delay: never },
    { metadata: { "grpc-retry-pushback-ms": "1.5" }, delay: never },
    { metadata: { "grpc-retry-pushback-ms": "0x10" }, delay: never },
    { metadata: { "grpc-retry-pushback-ms": "1, 2" }, delay: never },
    { metadata: { "grpc-retry-pushback-ms": "9".repeat(10_000) }, delay: never },
    { metadata: { "grpc-retry-pushback-ms": "-1", "retry-after": "1" }, delay: never },
    { metadata: { "retry-after": "3" }, delay: after(3_000) },
    { metadata: { "retry-after": "9".repeat(10_000) }, delay: after(2_147_483_647) },
    { metadata: { "retry-after": "-3" }, delay: none },
    { metadata: { "retry-after": "3.5" }, delay: none },
    { metadata: { "retry-after": "soon" }, delay: none },
    { metadata: { "retry-after": "Tue, 14 Nov 2023 22:13:25 GMT" }, delay: after(5_000) },
    { metadata: { "retry-after": "Tue, 14 Nov 2023 22:13:15 GMT" }, delay: after(0) },
    { metadata: { "retry-after": "Fri, 14 Nov 2999 22:13:15 GMT" }, delay: after(2_147_483_647) },
    { metadata: { "retry-after": "Tue, 14 Xxx 2023 22:13:25 GMT" }, delay: none },
    { metadata: { "retry-after": "2023-11-14T22:13:25Z" }, delay: none },
  ])("of $metadata is $delay", ({ metadata, delay }) => {
    expect(readRetryDelay(unavailable(metadata), clock)).toEqual(delay);
  });

  it.each([
    { title: "a detail", error: unavailable({}, info(2n, 5_000_001)), delay: after(2_006) },
    { title: "a detail before retry-after", error: unavailable({ "retry-after": "9" }, info(2n)), delay: after(2_000) },
    { title: "no negative detail", error: unavailable({ "retry-after": "9" }, info(-2n)), delay: after(9_000) },
    { title: "a detail, bounded", error: unavailable({}, info(2n ** 62n)), delay: after(2_147_483_647) },
    {
      title: "pushback before a detail",
      error: unavailable({ "grpc-retry-pushback-ms": "7" }, info(2n)),
      delay: after(7),
    },
    {
      title: "no detail without delay",
      error: new ConnectError("", Code.Unavailable, {}, [{ desc: RetryInfoSchema, value: {} }]),
      delay: none,
    },
  ])("reads $title", ({ error, delay }) => {
    expect(readRetryDelay(error)).toEqual(delay);
    expect(readRetryDelay(sent(error))).toEqual(delay);
  });

  it("law: whatever a server sends, it does not throw, and the delay is in bounds", () => {
    const value = fc.string({ unit: fc.constantFrom(..."0123456789-+., :GMTueNov"), maxLength: 40 });
    const name = fc.constantFrom("grpc-retry-pushback-ms", "retry-after");
    fc.assert(
      fc.property(fc.dictionary(name, value), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (all, seconds) => {
        const delay = readRetryDelay(unavailable(all, info(seconds)));
        const ms = delay.kind === "after" ? delay.ms : 0;
        expect(ms >= 0 && ms <= 2_147_483_647).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});
