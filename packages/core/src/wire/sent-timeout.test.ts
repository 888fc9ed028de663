import { describe, expect, it } from "vitest";
import { sentTimeoutMs } from "./sent-timeout.ts";

describe("sentTimeoutMs", () => {
  it.each([
    { header: {}, ms: undefined },
    { header: { "connect-timeout-ms": "250" }, ms: 250 },
    { header: { "grpc-timeout": "199m" }, ms: 199 },
    { header: { "grpc-timeout": "2S" }, ms: 2_000 },
    { header: { "grpc-timeout": "soon" }, ms: undefined },
  ])("$header is $ms ms", ({ header, ms }) => {
    expect(sentTimeoutMs(new Headers(header))).toBe(ms);
  });
});
