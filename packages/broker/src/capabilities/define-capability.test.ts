import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import { HealthService } from "@cpg/core/gen/connectplugin/health/v1/health_pb";
import { describe, expect, it } from "vitest";
import { defineCapability } from "./define-capability.ts";
import { defineHttpCapability } from "./define-http-capability.ts";

const facts = { type: "logger", version: "1.0.0" };
const implementation = { log: () => ({}) };

/** As a program without types calls it. */
function define(...args: unknown[]): unknown {
  return Reflect.apply(defineCapability, undefined, args);
}

describe("defineCapability", () => {
  it.each([
    { of: "a type", args: [Logger, implementation, { ...facts, type: "no type" }], says: "type must match" },
    { of: "a type", args: [Logger, implementation, { ...facts, type: 1 }], says: "type must be a string" },
    { of: "a version", args: [Logger, implementation, { ...facts, version: "1" }], says: "version must be" },
    { of: "a version", args: [Logger, implementation, { ...facts, version: "1.0.0+b" }], says: "version must be" },
    {
      of: "requireHolderProof",
      args: [Logger, implementation, { ...facts, requireHolderProof: 1 }],
      says: "requireHolderProof must be",
    },
    { of: "an interceptor", args: [Logger, implementation, { ...facts, interceptors: [1] }], says: "interceptors[0]" },
    { of: "a service", args: [{}, implementation, facts], says: "service must be" },
    { of: "an implementation", args: [Logger, undefined, facts], says: "implementation must be" },
    { of: "a method", args: [Logger, { log: 1 }, facts], says: "implementation.log must be a function" },
    { of: "services", args: [[], [], facts], says: "at least one" },
    { of: "services", args: [[Logger, Logger], [implementation, implementation], facts], says: "twice" },
    { of: "implementations", args: [[Logger, HealthService], [implementation], facts], says: "must be 2" },
    { of: "implementations", args: [[Logger], implementation, facts], says: "must be 1" },
    { of: "a method", args: [[Logger], [{ log: {} }], facts], says: "implementations[0].log must be a function" },
  ])("refuses a bad one of $of, naming it: $says", ({ args, says }) => {
    expect(() => define(...args)).toThrow(TypeError);
    expect(() => define(...args)).toThrow(says);
  });
});

describe("defineHttpCapability", () => {
  it("refuses what is no function", () => {
    expect(() => Reflect.apply(defineHttpCapability, undefined, [{}, facts])).toThrow("handler must be a function");
  });
});
