import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { CapabilityBroker } from "@cpg/core/gen/connectplugin/v1/broker_pb";
import { describe, expect, it } from "vitest";
import { identityOf } from "../../test/support/identity-of.ts";
import { createCapabilitySet } from "../capabilities/capability-set.ts";
import { createCapabilityBrokerService } from "./capability-broker-service.ts";

describe("RequestCapability of a host that drains", () => {
  it("is refused, and heard of all the same", async () => {
    const heard: unknown[] = [];
    const service = createCapabilityBrokerService({
      capabilities: createCapabilitySet([]),
      grants: { issue: () => expect.fail("nothing is granted") },
      policy: { allow: () => expect.fail("nobody asks"), allowDerived: () => expect.fail("nobody asks") },
      draining: AbortSignal.abort(new ConnectError("the host is shutting down", Code.Unavailable)),
      publicUrl: () => "",
      callerOf: () => identityOf("alice"),
      onRequested: ({ holder, capability }) => heard.push(["requested", holder, capability]),
      onDenied: ({ holder, capability }, { code }) => heard.push(["denied", holder, capability, code]),
    });
    const client = createClient(
      CapabilityBroker,
      createRouterTransport((router) => router.service(CapabilityBroker, service)),
    );
    await expect(client.requestCapability({ capabilityType: "kv" })).rejects.toMatchObject({ code: Code.Unavailable });
    expect(heard).toEqual([
      ["requested", "alice-1", "kv"],
      ["denied", "alice-1", "kv", Code.Unavailable],
    ]);
  });
});
