import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { answerError, runtimeIdentityKey } from "@cpg/core";
import { createRpcHandler, type NodeServerRequest } from "@cpg/core/extension";
import { verifiedIdentityKey } from "@cpg/resilience";
import type { ServedRpcs } from "../capabilities/capability.ts";
import { capabilityGrantKey } from "../capabilities/capability-grant-key.ts";
import { type CallInProgress, callInProgressKey, endWithGrant } from "./call-in-progress.ts";
import type { CapabilityCall, CapabilityServer } from "./capability-server.ts";

export interface ServedRpcOptions {
  /** Of every capability; outside its own. */
  readonly interceptors: readonly Interceptor[];
  readonly maxMessageBytes: number;
  onError(error: unknown): void;
}

/** Serves the RPCs of one capability. @throws {TypeError} when two have the same path. */
export function serveRpcs(served: ServedRpcs, options: ServedRpcOptions): CapabilityServer {
  const { interceptors, maxMessageBytes, onError } = options;
  const calls = new WeakMap<NodeServerRequest, CallInProgress>();
  const methods = new Set(
    served.services.flatMap(({ service }) => service.methods.map(({ name }) => `${service.typeName}/${name}`)),
  );
  const handle = createRpcHandler({
    routes(router) {
      for (const { service, implementation } of served.services) router.service(service, implementation);
    },
    fallback: (request, response) => answerError(request, response, noSuchRpc()),
    interceptors: [endWithGrant, ...interceptors, ...served.interceptors],
    contextValues(request, values) {
      const call = calls.get(request);
      const { grant } = call ?? {};
      values.set(callInProgressKey, call).set(capabilityGrantKey, grant);
      if (grant?.isProven) values.set(runtimeIdentityKey, grant.holder).set(verifiedIdentityKey, grant.holder);
    },
    maxMessageBytes,
    onError,
  });
  return {
    methods,
    methodOf(rest) {
      const question = rest.indexOf("?");
      const method = rest.slice(1, question < 0 ? undefined : question);
      if (!methods.has(method)) throw noSuchRpc();
      return method;
    },
    serve({ request, response, call }: CapabilityCall) {
      calls.set(request, call);
      handle(request, response);
    },
  };
}

function noSuchRpc(): ConnectError {
  return new ConnectError("the capability has no such RPC", Code.Unimplemented);
}
