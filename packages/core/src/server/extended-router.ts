import type { ConnectRouter, Interceptor } from "@connectrpc/connect";

/**
 * A router whose services get `interceptors` around their own. Connect's router replaces the interceptors of the
 * router by those of the service.
 */
export function withInterceptors(router: ConnectRouter, interceptors: readonly Interceptor[]): ConnectRouter {
  const merge = <Options extends { interceptors?: Interceptor[] }>(options?: Options) => ({
    ...options,
    interceptors: [...interceptors, ...(options?.interceptors ?? [])],
  });
  const extended: ConnectRouter = {
    handlers: router.handlers,
    service(service, implementation, options) {
      router.service(service, implementation, merge(options));
      return extended;
    },
    rpc(method, implementation, options) {
      router.rpc(method, implementation, merge(options));
      return extended;
    },
  };
  return extended;
}
