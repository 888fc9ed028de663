import { createClient, createRouterTransport } from "@connectrpc/connect";
import { createMemoryServer } from "@cpg/core";
import { EchoService } from "../gen/bench/v1/echo_pb.ts";
import type { Variant } from "../table.ts";
import { itemCases } from "./echo-cases.ts";
import { echoService } from "./echo-service.ts";

export const memoryIsolated = "in memory, isolated";
export const memoryByReference = "in memory, by reference";
export const routerTransport = "createRouterTransport";

function memoryVariant(name: string, byReference: boolean): Variant {
  return {
    name,
    async setup() {
      const server = createMemoryServer({ routes: (router) => router.service(EchoService, echoService), byReference });
      return {
        cases: itemCases(createClient(EchoService, server.connect()), "here"),
        close: () => server.close(),
      };
    },
  };
}

export const memoryVariants: readonly Variant[] = [
  memoryVariant(memoryIsolated, false),
  memoryVariant(memoryByReference, true),
];

/** Connect's own way to call services of the same process. */
export const routerTransportVariant: Variant = {
  name: routerTransport,
  async setup() {
    const transport = createRouterTransport((router) => router.service(EchoService, echoService));
    return {
      cases: itemCases(createClient(EchoService, transport), "here"),
      close: () => Promise.resolve(),
    };
  },
};
