import { describe, expect, it } from "vitest";
import { readTimeout, writeTimeout } from "./timeout-header.ts";

describe("readTimeout", () => {
  it.each<{ header: Record<string, string>; ms: number | undefined }>([
    { header: {}, ms: undefined },
    { header: { "connect-timeout-ms": "1500" }, ms: 1_500 },
    { header: { "connect-timeout-ms": "0" }, ms: 0 },
    { header: { "connect-timeout-ms": "12345678901" }, ms: undefined },
    { header: { "connect-timeout-ms": "-1" }, ms: undefined },
    { header: { "connect-timeout-ms": "1e3" }, ms: undefined },
    { header: { "grpc-timeout": "2H" }, ms: 7_200_000 },
    { header: { "grpc-timeout": "3M" }, ms: 180_000 },
    { header: { "grpc-timeout": "4S" }, ms: 4_000 },
    { header: { "grpc-timeout": "5m" }, ms: 5 },
    { header: { "grpc-timeout": "500u" }, ms: 0.5 },
    { header: { "grpc-timeout": "500000n" }, ms: 0.5 },
    { header: { "grpc-timeout": "123456789m" }, ms: undefined },
    { header: { "grpc-timeout": "5" }, ms: undefined },
  ])("of $header is $ms", ({ header, ms }) => {
    const read = readTimeout(new Headers(header));
    expect(read === undefined ? read : Math.round(read * 1000) / 1000).toBe(ms);
  });
});

describe("readTimeout of a protocol that is known", () => {
  const both = { "connect-timeout-ms": "10", "grpc-timeout": "20m" };
  it.each([
    { header: both, isGrpc: false, ms: 10 },
    { header: both, isGrpc: true, ms: 20 },
    { header: both, isGrpc: undefined, ms: 10 },
    { header: { "grpc-timeout": "20m" }, isGrpc: false, ms: undefined },
    { header: { "connect-timeout-ms": "10" }, isGrpc: true, ms: undefined },
  ])("of $header, isGrpc $isGrpc, is $ms", ({ header, isGrpc, ms }) => {
    expect(readTimeout(new Headers(Object.entries(header)), isGrpc)).toBe(ms);
  });
});

describe("writeTimeout", () => {
  it.each([
    { type: "application/proto", ms: 1_500.2, sent: { "connect-timeout-ms": "1501" } },
    { type: "application/connect+proto", ms: -3, sent: { "connect-timeout-ms": "1" } },
    { type: "application/proto", ms: 1e12, sent: { "connect-timeout-ms": "9999999999" } },
    { type: "application/grpc+proto", ms: 1_500.2, sent: { "grpc-timeout": "1501m" } },
    { type: "application/grpc-web+proto", ms: 99_999_999, sent: { "grpc-timeout": "99999999m" } },
    { type: "application/grpc", ms: 100_000_001, sent: { "grpc-timeout": "100001S" } },
    { type: "application/grpc", ms: 1e15, sent: { "grpc-timeout": "99999999S" } },
  ])("$ms ms of $type is $sent", ({ type, ms, sent }) => {
    const header = new Headers({ "content-type": type });
    writeTimeout(header, ms);
    expect(Object.fromEntries(header)).toEqual({ "content-type": type, ...sent });
  });
});
