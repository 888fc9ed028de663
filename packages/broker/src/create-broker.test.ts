import { describe, expect, it } from "vitest";
import type { BrokerOptions } from "./broker-options.ts";
import { defineHttpCapability } from "./capabilities/define-http-capability.ts";
import { createBroker } from "./create-broker.ts";

const files = defineHttpCapability((_, response) => void response.end(), { type: "files", version: "1.0.0" });

describe("createBroker", () => {
  it.each([
    { options: {}, says: "capabilities must be a list" },
    { options: { capabilities: [{}] }, says: "capabilities[0] must be made by" },
    { options: { capabilities: [files, files] }, says: "capabilities[1] must not be files 1.0.0 a second time" },
    { options: { capabilities: [], policy: {} }, says: "policy must have a function allow" },
    { options: { capabilities: [], policy: null }, says: "policy must have a function allow" },
    { options: { capabilities: [], policy: { allow: () => true }, strict: true }, says: "policy takes the place of" },
    { options: { capabilities: [], strict: 1 }, says: "strict must be" },
    { options: { capabilities: [], allowed: [] }, says: "allowed must be" },
    { options: { capabilities: [], allowed: { a: "logger" } }, says: 'allowed["a"] must be a list' },
    { options: { capabilities: [], requireHolderProof: 1 }, says: "requireHolderProof must be" },
    { options: { capabilities: [], interceptors: [1] }, says: "interceptors[0] must be a function" },
    { options: { capabilities: [], onAudit: 1 }, says: "onAudit must be a function" },
    { options: { capabilities: [], onError: 1 }, says: "onError must be a function" },
    { options: { capabilities: [], ttlMs: 0 }, says: "ttlMs must be a whole number from 1" },
    { options: { capabilities: [], ttlMs: 2, maxTtlMs: 1 }, says: "maxTtlMs must be a whole number from 2" },
    { options: { capabilities: [], limits: { maxMessageBytes: 0 } }, says: "limits.maxMessageBytes" },
    { options: { capabilities: [], limits: { maxPendingDecisions: 0 } }, says: "limits.maxPendingDecisions" },
    { options: { capabilities: [], limits: { decisionMs: 0.5 } }, says: "limits.decisionMs" },
    { options: { capabilities: [], limits: { maxGrants: 0 } }, says: "limits.maxGrants" },
  ])("refuses bad options at once, naming the one: $says", ({ options, says }) => {
    const broken: unknown = options;
    expect(() => createBroker(broken as BrokerOptions)).toThrow(says);
  });

  it("has no grants before a host has it", () => {
    const broker = createBroker({ capabilities: [files] });
    expect(broker.grants()).toEqual([]);
    expect(broker.grant("a")).toBeUndefined();
    expect(broker.revoke("a", "test")).toBe(0);
    expect(broker.revokeHolder("a", "test")).toBe(0);
    expect(broker.revokeCapability("files", "test")).toBe(0);
    expect(broker.revokeAll("test")).toBe(0);
  });
});
