import { describe, expect, it } from "vitest";
import { Logger } from "../gen/capability/logger/v1/logger_pb.ts";
import { HealthService } from "../gen/connectplugin/health/v1/health_pb.ts";
import { definePlugin } from "./plugin-definition.ts";
import { checkImplementations, checkPluginSet } from "./plugin-set.ts";

const logger = definePlugin({ name: "logger", version: "1.0.0", service: Logger });
const copy = definePlugin({ name: "copy", version: "1.0.0", service: Logger });
const health = definePlugin({ name: "health", version: "1.0.0", service: HealthService });

describe("checkPluginSet", () => {
  it.each([
    { why: "it is empty", plugins: {}, says: "at least one plugin" },
    { why: "a key is not the plugin's name", plugins: { log: logger }, says: 'plugins.log must have the name "log"' },
    { why: "two plugins share a path", plugins: { logger, copy }, says: "must not share the path" },
  ])("refuses a set when $why", ({ plugins, says }) => {
    expect(() => checkPluginSet(plugins)).toThrow(says);
  });

  it("accepts plugins of different services", () => {
    expect(() => checkPluginSet({ logger, health })).not.toThrow();
  });
});

describe("checkImplementations", () => {
  const log = () => ({});
  it.each([
    { why: "one lacks", impls: {}, says: "impls.logger must be an implementation of capability.logger.v1.Logger" },
    { why: "one is null", impls: { logger: null }, says: "impls.logger must be" },
    { why: "one is superfluous", impls: { logger: { log }, other: {} }, says: "impls.other has no plugin" },
    { why: "a method is no function", impls: { logger: { log: 1 } }, says: "impls.logger.log must be a function" },
  ])("refuses implementations when $why", ({ impls, says }) => {
    expect(() => checkImplementations({ logger }, impls)).toThrow(says);
  });

  it("finds the methods of a class", () => {
    class Impl {
      log() {
        return {};
      }
    }
    expect(() => checkImplementations({ logger }, { logger: new Impl() })).not.toThrow();
  });
});
