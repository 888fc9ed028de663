import { type Client, createRouterTransport } from "@connectrpc/connect";
import { createPluginClient, definePlugin, nodeStrategy, type ServeOptions, serve, supervisePlugin } from "@cpg/core";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import { HealthService } from "@cpg/core/gen/connectplugin/health/v1/health_pb";
import { describe, expectTypeOf, it } from "vitest";
import { createServiceClient } from "../src/client/service-client.ts";

// Nothing here runs a server: the compiler is the test. Every @ts-expect-error is an error of its own if the line compiles.

const logger = definePlugin({ name: "logger", version: "1.0.0", service: Logger });
const health = definePlugin({ name: "health", version: "1.0.0", service: HealthService });
const log = () => ({});

function compileOnly(_program: () => unknown): void {}

describe("types", () => {
  it("a definition keeps its name and service", () => {
    expectTypeOf(logger.name).toEqualTypeOf<"logger">();
    expectTypeOf(logger.service).toEqualTypeOf<typeof Logger>();
  });

  it("dispense infers the client from the name", () => {
    const client = createPluginClient({ endpoint: "http://localhost:1", plugins: { logger, health } });
    expectTypeOf(client.dispense<"logger">).returns.resolves.toEqualTypeOf<Client<typeof Logger>>();
    expectTypeOf(client.dispense<"health">).returns.resolves.toEqualTypeOf<Client<typeof HealthService>>();
    // @ts-expect-error: no plugin of that name
    compileOnly(() => client.dispense("kv"));
    // @ts-expect-error: the message has no such field
    compileOnly(async () => (await client.dispense("logger")).log({ text: "x" }));
    // @ts-expect-error: the field is a string
    compileOnly(async () => (await client.dispense("logger")).log({ message: 1 }));
  });

  it("dispense of a supervised plugin infers the client, too", () => {
    const supervise = () => supervisePlugin({ strategy: nodeStrategy({ entry: "x" }), plugins: { logger, health } });
    compileOnly(() =>
      expectTypeOf(supervise().dispense<"logger">).returns.resolves.toEqualTypeOf<Client<typeof Logger>>(),
    );
    // @ts-expect-error: no plugin of that name
    compileOnly(() => supervise().dispense("kv"));
    // @ts-expect-error: the message has no such field
    compileOnly(async () => (await supervise().dispense("logger")).log({ text: "x" }));
    // @ts-expect-error: the plugin is called logger
    compileOnly(() => supervisePlugin({ strategy: nodeStrategy({ entry: "x" }), plugins: { log: logger } }));
  });

  it("a key that is not the plugin's name does not compile", () => {
    // @ts-expect-error: the plugin is called logger
    compileOnly(() => createPluginClient({ endpoint: "http://localhost:1", plugins: { log: logger } }));
    // @ts-expect-error: the plugin is called logger
    compileOnly(() => serve({ plugins: { log: logger }, impls: { log: { log } } }));
  });

  it("implementations have to fit their plugins", () => {
    compileOnly(() => serve({ plugins: { logger }, impls: { logger: { log } } }));
    compileOnly(() => serve({ plugins: { logger }, impls: { logger: { log: async () => ({}) } } }));
    // @ts-expect-error: no implementation at all
    compileOnly(() => serve({ plugins: { logger }, impls: {} }));
    // @ts-expect-error: one is missing
    compileOnly(() => serve({ plugins: { logger, health }, impls: { logger: { log } } }));
    // @ts-expect-error: one is superfluous
    compileOnly(() => serve({ plugins: { logger }, impls: { logger: { log }, other: { log } } }));
    // @ts-expect-error: a method is missing
    compileOnly(() => serve({ plugins: { logger }, impls: { logger: {} } }));
    // @ts-expect-error: the response has another shape
    compileOnly(() => serve({ plugins: { health }, impls: { health: { check: () => ({ status: "up" }), watch } } }));
    // @ts-expect-error: a server stream has to be iterable
    compileOnly(() => serve({ plugins: { health }, impls: { health: { check: () => ({}), watch: () => ({}) } } }));
    // @ts-expect-error: the request has no such field
    compileOnly(() => serve({ plugins: { logger }, impls: { logger: { log: ({ text }) => ({ text }) } } }));
  });

  it("interceptors per plugin name plugins of the set", () => {
    type Options = ServeOptions<{ logger: typeof logger }>;
    expectTypeOf<keyof NonNullable<Options["pluginInterceptors"]>>().toEqualTypeOf<"logger">();
  });

  it("a service client has the type of Connect's own", () => {
    const transport = createRouterTransport(() => {});
    expectTypeOf(createServiceClient(Logger, transport)).toEqualTypeOf<Client<typeof Logger>>();
  });
});

async function* watch() {
  yield {};
}
