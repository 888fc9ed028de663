import { peerKey } from "@cpg/resilience";
import { callerIdKey, takeCaller } from "../control/caller.ts";
import { createMemoryServer, type MemoryServer } from "../memory/memory-server.ts";
import type { CarriedServer } from "./carrier.ts";

/**
 * Serves the calls of a server without HTTP. When the server gives up waiting for handlers, their callers get `unavailable`.
 * @throws {TypeError} naming the option, for a server that needs HTTP requests.
 */
export function createCarriedMemoryServer(server: CarriedServer, byReference: boolean): MemoryServer {
  if (server.httpRoutes.length > 0) throw needsListener("httpRoutes");
  if (server.contextHooks.some((hook) => hook.contextValues !== undefined)) throw needsListener("contextValues");
  const memory = createMemoryServer({
    routes: (router) => server.routes(router),
    contextValues(values, header) {
      values.set(callerIdKey, takeCaller(server.guard, header, values.get(peerKey)));
    },
    maxMessageBytes: server.maxMessageBytes,
    maxResponseBytes: server.maxResponseBytes,
    byReference,
    clock: server.clock,
  });
  server.cut.addEventListener("abort", () => void memory.drain(0), { once: true });
  return memory;
}

function needsListener(option: string): TypeError {
  return new TypeError(`${option} needs HTTP requests, and a plugin in memory or in a worker thread gets none`);
}
