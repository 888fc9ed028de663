import { peerKey } from "@cpg/resilience";
import { callerIdKey, takeCaller } from "../control/caller.ts";
import { createMemoryServer, type MemoryServer } from "../memory/memory-server.ts";
import type { DirectEndpoint } from "../wire/direct-endpoint.ts";
import type { CarriedServer, CarrierPlan } from "./carrier.ts";

export interface MemoryCarrierOptions {
  readonly name: string;
  readonly byReference: boolean;
}

/** Calls from this process, without a socket. `direct` takes them once a server has been opened. */
export function planMemoryCarrier({
  name,
  byReference,
}: MemoryCarrierOptions): CarrierPlan & { readonly direct: DirectEndpoint } {
  const endpoint = `memory:${name}`;
  let memory: MemoryServer | undefined;
  return {
    localOnly: true,
    privateSocket: false,
    httpVersions: undefined,
    async open(server) {
      const opened = createCarriedMemoryServer(server, byReference);
      memory = opened;
      return {
        endpoint,
        address: { kind: "memory" },
        tellReady() {}, // who launched it has waited for it
        drain: (graceMs) => opened.drain(graceMs),
      };
    },
    direct: {
      name: endpoint,
      open(options) {
        if (memory === undefined) throw new Error(`${endpoint} serves nothing yet`);
        const transport = memory.connect(options);
        return { transport, httpVersion: undefined, close: () => transport.close() };
      },
    },
  };
}

/**
 * Serves the calls of a server without HTTP. When the server gives up waiting for handlers, their callers get `unavailable`.
 * @throws {TypeError} naming the option, for a server that needs HTTP requests.
 */
export function createCarriedMemoryServer(server: CarriedServer, byReference: boolean): MemoryServer {
  if (server.gate !== undefined) throw needsListener("gate");
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
