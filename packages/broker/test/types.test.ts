import type { ServiceImpl } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import { Logger } from "@cpg/core/gen/capability/logger/v1/logger_pb";
import { HealthService } from "@cpg/core/gen/connectplugin/health/v1/health_pb";
import { describe, expectTypeOf, it } from "vitest";
import {
  type AuditEvent,
  type CallGrant,
  type Capability,
  capabilityGrantKey,
  createBroker,
  defineCapability,
  defineHttpCapability,
  LoggerCapability,
} from "../src/index.ts";

// Nothing here lends anything: the compiler is the test. Every @ts-expect-error is an error of its own if the line compiles.

const log = () => ({});
const health: ServiceImpl<typeof HealthService> = {
  check: () => ({}),
  async *watch() {
    yield {};
  },
};
const facts = { type: "logger", version: "1.0.0" };

function compileOnly(_program: () => unknown): void {}

describe("types", () => {
  it("a capability needs an implementation of its very service", () => {
    compileOnly(() => expectTypeOf(defineCapability(Logger, { log }, LoggerCapability)).toEqualTypeOf<Capability>());
    // @ts-expect-error: the method lacks
    compileOnly(() => defineCapability(Logger, {}, facts));
    // @ts-expect-error: the service has no such method
    compileOnly(() => defineCapability(Logger, { log, write: log }, facts));
    // @ts-expect-error: the answer is another message
    compileOnly(() => defineCapability(Logger, { log: () => ({ text: "x" }) }, facts));
    // @ts-expect-error: the method gets a LogRequest
    compileOnly(() => defineCapability(Logger, { log: ({ text }: { text: string }) => ({ text }) }, facts));
    // @ts-expect-error: of another service
    compileOnly(() => defineCapability(Logger, health, facts));
    // @ts-expect-error: type and version are needed
    compileOnly(() => defineCapability(Logger, { log }, { type: "logger" }));
  });

  it("several services need an implementation each, in their order", () => {
    compileOnly(() => defineCapability([Logger, HealthService], [{ log }, health], facts));
    // @ts-expect-error: one lacks
    compileOnly(() => defineCapability([Logger, HealthService], [{ log }], facts));
    // @ts-expect-error: the other way round
    compileOnly(() => defineCapability([Logger, HealthService], [health, { log }], facts));
  });

  it("a raw handler gets request, response and who holds the grant", () => {
    compileOnly(() =>
      defineHttpCapability(({ url = "" }, response, { holder, signal }) => {
        expectTypeOf(holder).toEqualTypeOf<RuntimeIdentity>();
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
        response.end(url);
      }, facts),
    );
    // @ts-expect-error: there is no such argument
    compileOnly(() => defineHttpCapability((_request, _response, { token }) => token, facts));
  });

  it("a handler finds the grant in its context values", () => {
    compileOnly(() =>
      defineCapability(
        Logger,
        {
          log(_, { values }) {
            expectTypeOf(values.get(capabilityGrantKey)).toEqualTypeOf<CallGrant | undefined>();
            return {};
          },
        },
        facts,
      ),
    );
  });

  it("a broker takes capabilities, a policy, and a hook that gets typed events", () => {
    compileOnly(() => createBroker({ capabilities: [], policy: { allow: async ({ selfId }) => selfId === "a" } }));
    compileOnly(() =>
      createBroker({
        capabilities: [],
        onAudit(event) {
          expectTypeOf(event).toEqualTypeOf<AuditEvent>();
          return event.type === "used" ? event.method.length : event.timeMs;
        },
      }),
    );
    // @ts-expect-error: what the host lends is needed
    compileOnly(() => createBroker({}));
    // @ts-expect-error: a policy answers true or false
    compileOnly(() => createBroker({ capabilities: [], policy: { allow: () => "yes" } }));
    // @ts-expect-error: no event has the token
    compileOnly(() => createBroker({ capabilities: [], onAudit: (event) => event.token }));
  });
});
