import { type ContextKey, createContextKey, type Interceptor, type Transport } from "@connectrpc/connect";
import { withContextValue } from "./with-context-value.ts";

/** Set on calls that the host passes on to another plugin. */
const prefixKey: ContextKey<string | undefined> = createContextKey<string | undefined>(undefined, {
  description: "what stands in place of the service in the path of a call",
});

const prefixPattern = /^(?:\/[A-Za-z0-9._~-]+)+$/;

/**
 * A transport whose calls go to `{prefix}/{method}` of the host, in place of `/{service}/{method}`. Needs
 * `rerouteCalls` among the interceptors of `transport`.
 * @throws {TypeError} for a prefix that is no path of plain segments.
 */
export function createRoutedTransport(transport: Transport, prefix: string): Transport {
  if (!prefixPattern.test(prefix) || prefix.includes("/..") || `${prefix}/`.includes("/./")) {
    throw new TypeError(`prefix must be a path such as /services/logger/-, got ${JSON.stringify(prefix)}`);
  }
  return {
    unary: (method, signal, timeoutMs, header, input, values) =>
      transport.unary(method, signal, timeoutMs, header, input, withContextValue(values, prefixKey, prefix)),
    stream: (method, signal, timeoutMs, header, input, values) =>
      transport.stream(method, signal, timeoutMs, header, input, withContextValue(values, prefixKey, prefix)),
  };
}

/** Interceptor that gives calls of a routed transport their path; innermost, so that others see whom they call. */
export const rerouteCalls: Interceptor = (next) => (request) => {
  const prefix = request.contextValues.get(prefixKey);
  if (prefix === undefined) return next(request);
  const url = new URL(request.url);
  url.pathname = `${prefix}/${request.method.name}`;
  return next({ ...request, url: url.href });
};
