import type { DescMethod } from "@bufbuild/protobuf";
import type { StreamRequest, UnaryRequest } from "@connectrpc/connect";
import type { KeyedEntry, KeyedStore } from "./keyed-store.ts";

/**
 * Which calls belong together. "method" and "service": by full name. "endpoint": by the URL before service and method,
 * as in the base URL of a transport; for clients, since on a server the caller chooses it. Or a function of your own.
 */
export type CallKey = "method" | "service" | "endpoint" | ((request: UnaryRequest | StreamRequest) => string);

/** The function that gives the key of a call. @throws {TypeError} if it is neither a known name nor a function. */
export function resolveCallKey(key: CallKey): (request: UnaryRequest | StreamRequest) => string {
  if (typeof key === "function") return key;
  switch (key) {
    case "service":
      return ({ service }) => service.typeName;
    case "method":
      return rememberByMethod(({ service, method }) => `${service.typeName}/${method.name}`);
    case "endpoint":
      return rememberByMethod(endpointOf);
    default:
      throw new TypeError(`key must be "method", "service", "endpoint" or a function, got ${String(key)}`);
  }
}

function endpointOf({ service, method, url }: UnaryRequest | StreamRequest): string {
  const end = url.lastIndexOf(`/${service.typeName}/${method.name}`);
  return end < 0 ? url : url.slice(0, end);
}

/**
 * Finds what a store has for the key of a call. Looks neither the key nor the value up again while calls are of the same
 * method and URL, unless the key comes from a function of the user, which may look at other things too.
 */
export function lookUpByCall<V>(
  key: CallKey,
  keyOf: (request: UnaryRequest | StreamRequest) => string,
  store: KeyedStore<V>,
): (request: UnaryRequest | StreamRequest) => V {
  if (typeof key === "function") return (request) => store.get(keyOf(request));
  let method: DescMethod | undefined;
  let url = "";
  let entry: KeyedEntry<V> | undefined;
  return (request) => {
    if (request.method === method && request.url === url && entry !== undefined && !entry.forgotten) {
      entry.used = true;
      return entry.value;
    }
    entry = store.entry(keyOf(request));
    method = request.method;
    url = request.url;
    return entry.value;
  };
}

/** Makes the key anew only when the URL is another than at the last call of the method. */
function rememberByMethod(
  keyOf: (request: UnaryRequest | StreamRequest) => string,
): (request: UnaryRequest | StreamRequest) => string {
  const last = new WeakMap<DescMethod, { readonly url: string; readonly key: string }>();
  return (request) => {
    const known = last.get(request.method);
    if (known !== undefined && known.url === request.url) return known.key;
    const key = keyOf(request);
    last.set(request.method, { url: request.url, key });
    return key;
  };
}
