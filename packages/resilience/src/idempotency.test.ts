import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { EchoService } from "../test/fixtures/echo-service.ts";
import { isIdempotent } from "./idempotency.ts";

const { IDEMPOTENCY_UNKNOWN, IDEMPOTENT, NO_SIDE_EFFECTS } = MethodOptions_IdempotencyLevel;

describe("isIdempotent", () => {
  it.each([
    { level: IDEMPOTENCY_UNKNOWN, expected: false },
    { level: NO_SIDE_EFFECTS, expected: true },
    { level: IDEMPOTENT, expected: true },
  ])("level $level: $expected", ({ level, expected }) => {
    expect(isIdempotent({ ...EchoService.method.get, idempotency: level })).toBe(expected);
  });
});
