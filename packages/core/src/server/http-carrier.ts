import { callerIdKey, readCaller } from "../control/caller.ts";
import { createHealthRoutes } from "../health/health-routes.ts";
import { formatReadyLine } from "../launch/process/ready-line.ts";
import { type ListenAddress, openListener } from "../listener/listener.ts";
import { warnOfCleartextListener } from "../wire/cleartext-warning.ts";
import { createRpcHandler } from "../wire/rpc-handler.ts";
import type { CarriedServer, Carrier, CarrierPlan } from "./carrier.ts";
import type { LaunchEnvironment } from "./environment-schema.ts";
import { createHttpRouter } from "./http-router.ts";
import { chooseListenAddress, isLocalOnly } from "./listen-choice.ts";
import { isPrivateSocket } from "./private-socket.ts";
import { setContextValues } from "./request-context.ts";
import { behindGate } from "./request-gate.ts";
import type { ListenOptions } from "./serve-options.ts";

/** Calls over HTTP, on the address that the options or the environment name. */
export function planHttpCarrier(options: ListenOptions, environment: LaunchEnvironment): CarrierPlan {
  const address = chooseListenAddress(options.listen, environment);
  const launchedOnSocket = options.listen === undefined && "socketPath" in address;
  // Who launched the plugin reaches it through the socket it made, which needs no TLS.
  const tls = launchedOnSocket ? undefined : options.tls;
  const localOnly = isLocalOnly(address);
  const { limits } = options;
  return {
    localOnly,
    privateSocket: launchedOnSocket && isPrivateSocket(address.socketPath),
    httpVersions: "1.1,2",
    async open(server) {
      if (!localOnly && options.tls === undefined && "port" in address) warnOfCleartextListener(address.host ?? "");
      return openHttpCarrier({ address, tls, limits, readyLine: environment.readyLine }, server);
    },
  };
}

interface HttpPlace {
  readonly address: ListenAddress;
  readonly tls: ListenOptions["tls"];
  readonly limits: ListenOptions["limits"];
  /** A launcher reads stdout to learn where the server listens. */
  readonly readyLine: boolean;
}

async function openHttpCarrier(place: HttpPlace, server: CarriedServer): Promise<Carrier> {
  const { guard, health, contextHooks, clock, onError } = server;
  const http = createHttpRouter([...createHealthRoutes(health), ...server.httpRoutes], onError);
  const calls = createRpcHandler({
    routes: (router) => server.routes(router),
    fallback(request, response) {
      readCaller(guard, request); // for the headers that the route sees
      http.handle(request, response);
    },
    contextValues(request, values) {
      values.set(callerIdKey, readCaller(guard, request));
      for (const hook of contextHooks) setContextValues(hook, request, values, onError);
    },
    maxMessageBytes: server.maxMessageBytes,
    maxResponseBytes: server.maxResponseBytes,
    registry: server.registry,
    shutdownSignal: server.cut,
    onError,
  });
  const { address, tls, limits } = place;
  const handler = behindGate(server.gate, calls, onError);
  // A gate looks at request objects.
  const streamHandler = server.gate === undefined ? http.handleStream : undefined;
  const listener = await openListener({ address, tls, limits, handler, streamHandler, onError, clock });
  return {
    endpoint: listener.endpoint,
    address: listener.address,
    tellReady() {
      if (place.readyLine) process.stdout.write(`${formatReadyLine(listener.endpoint)}\n`);
    },
    drain: (graceMs) => listener.drain(graceMs),
  };
}
