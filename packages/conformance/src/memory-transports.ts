import { createMemoryServer } from "@cpg/core";
import { conformanceService } from "./conformance-service.ts";
import { ConformanceService } from "./gen/connectrpc/conformance/v1/service_pb.ts";
import type { Transports } from "./transports-under-test.ts";

/** Calls to the service of the suite in this process, without a wire. Where the runner says a server is goes unused. */
export function createMemoryTransports(): Transports {
  const server = createMemoryServer({ routes: (router) => router.service(ConformanceService, conformanceService) });
  return {
    transportFor: ({ messageReceiveLimit }) =>
      server.connect({ callTimeoutMs: 0, maxMessageBytes: messageReceiveLimit || undefined }),
    close: () => server.close(),
  };
}
