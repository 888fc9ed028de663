import { Code, ConnectError, createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { HealthService, ServingStatus } from "../gen/connectplugin/health/v1/health_pb.ts";
import { mockService } from "./mock-service.ts";

function clientOf(impl: ServiceImpl<typeof HealthService>) {
  return createClient(
    HealthService,
    createRouterTransport(({ service }) => {
      service(HealthService, impl);
    }),
  );
}

async function drain(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of messages);
}

const errorOf = (failing: Promise<unknown>) => failing.catch((error: unknown) => ConnectError.from(error));

describe("mockService", () => {
  it("answers unimplemented, by name, for what it does not have, of each kind of method", async () => {
    const client = clientOf(mockService(HealthService, {}));
    expect(await errorOf(client.check({}))).toMatchObject({
      code: Code.Unimplemented,
      rawMessage: "connectplugin.health.v1.HealthService.Check is not implemented by this mock",
    });
    expect(await errorOf(drain(client.watch({})))).toMatchObject({
      code: Code.Unimplemented,
      rawMessage: "connectplugin.health.v1.HealthService.Watch is not implemented by this mock",
    });
  });

  it("serves what it has, called on the object given", async () => {
    const state: { status: ServingStatus; check(): { status: ServingStatus } } = {
      status: ServingStatus.SERVING,
      check() {
        return { status: this.status };
      },
    };
    const client = clientOf(mockService(HealthService, state));
    state.status = ServingStatus.NOT_SERVING;
    expect((await client.check({})).status).toBe(ServingStatus.NOT_SERVING);
  });

  it("refuses a method that is no function", () => {
    const methods: object = { check: 1 };
    expect(() => mockService(HealthService, methods)).toThrow(
      new TypeError("HealthService.check must be a function, got number"),
    );
  });
});
