import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type Interceptor } from "@connectrpc/connect";
import type { ServedMethod } from "./method-entry.ts";

/** The methods that routes have added, by service and name. */
export interface MethodTable {
  find(method: DescMethod): ServedMethod | undefined;
  /** `path` such as "/acme.kv.v1.KV/Get". */
  at(path: string): ServedMethod | undefined;
}

type RouteOptions = Parameters<ConnectRouter["rpc"]>[2];

/**
 * Runs `routes` with a router that takes down implementations. As with Connect's router, the interceptors of a service
 * replace those given here, and a method that an implementation leaves out answers `unimplemented`.
 * @throws {TypeError} when two RPCs have the same path.
 */
export function createMethodTable(
  routes: (router: ConnectRouter) => void,
  serverInterceptors: readonly Interceptor[],
): MethodTable {
  const methods = new Map<string, ServedMethod>();
  const add = (method: DescMethod, handler: unknown, options: RouteOptions): void => {
    const path = pathOf(method);
    if (methods.has(path)) throw new TypeError(`two services serve ${path}`);
    methods.set(path, {
      method,
      handler: typeof handler === "function" ? (request, context) => handler(request, context) : unimplemented(path),
      interceptors: options?.interceptors ?? serverInterceptors,
      requestGate: options?.requestGate,
    });
  };
  const router: ConnectRouter = {
    handlers: [],
    service(service: DescService, implementation: object, options) {
      for (const method of service.methods) {
        const handler: unknown = Reflect.get(implementation, method.localName);
        add(method, typeof handler === "function" ? handler.bind(implementation) : undefined, options);
      }
      return router;
    },
    rpc(method, handler, options) {
      add(method, handler, options);
      return router;
    },
  };
  routes(router);
  return { find: (method) => methods.get(pathOf(method)), at: (path) => methods.get(path) };
}

/** As it stands in URLs. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function unimplemented(path: string) {
  return (): never => {
    throw new ConnectError(`${path} is not implemented`, Code.Unimplemented);
  };
}
