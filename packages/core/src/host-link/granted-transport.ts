import { type ContextKey, createContextKey, type Interceptor, type Transport } from "@connectrpc/connect";
import { HEADER } from "../protocol/constants.ts";
import { type CallIdentity, withIdentity } from "./authenticated-transport.ts";
import { withContextValue } from "./with-context-value.ts";

/** What a call of something that the host lends shows in place of the runtime token. */
export interface GrantCredentials {
  /** Path of the host below which the services are called, such as "/capabilities/logger/g-1". */
  readonly path: string;
  /** Secret. */
  readonly bearerToken: string;
}

const grantKey: ContextKey<GrantCredentials | undefined> = createContextKey<GrantCredentials | undefined>(undefined, {
  description: "grant of the call",
});

/** Other hosts end their ids with "=". */
const pathPattern = /^(?:\/[A-Za-z0-9._~=-]+)+$/;

/**
 * A transport of calls under a grant: below its path, with its token as Authorization, and with the identity of whoever
 * holds it beside that. An `unauthenticated` answer is about the grant, so nobody hears of it here. Needs
 * `presentGrants` among the interceptors of the transport to the host.
 * @throws {TypeError} for a path that is not of plain segments, and a token that no header can carry.
 */
export function createGrantedTransport(
  current: () => CallIdentity,
  { path, bearerToken }: GrantCredentials,
): Transport {
  if (!pathPattern.test(path) || `${path}/`.includes("/../") || `${path}/`.includes("/./")) {
    throw new TypeError("path must be one of plain segments, such as /capabilities/logger/1");
  }
  if (!/^[\x21-\x7e]+$/.test(bearerToken)) throw new TypeError("bearerToken must be visible ASCII characters");
  const grant = { path, bearerToken };
  return {
    async unary(method, signal, timeoutMs, header, input, values) {
      const identity = current();
      const own = withContextValue(withIdentity(values, identity), grantKey, grant);
      return await identity.transport.unary(method, signal, timeoutMs, header, input, own);
    },
    async stream(method, signal, timeoutMs, header, input, values) {
      const identity = current();
      const own = withContextValue(withIdentity(values, identity), grantKey, grant);
      return await identity.transport.stream(method, signal, timeoutMs, header, input, own);
    },
  };
}

/**
 * Interceptor that sends calls of a granted transport to their path, with their credentials. After `keepCredentials`, and
 * innermost, so that no other interceptor sees the grant's token.
 */
export const presentGrants: Interceptor = (next) => (request) => {
  const grant = request.contextValues.get(grantKey);
  if (grant === undefined) return next(request);
  const header = new Headers(request.header);
  const { authorization, runtimeToken } = HEADER;
  // It is the runtime token that keepCredentials left there.
  header.set(runtimeToken, (header.get(authorization) ?? "").replace(/^Bearer /, ""));
  header.set(authorization, `Bearer ${grant.bearerToken}`);
  const url = new URL(request.url);
  const called = `/${request.service.typeName}/${request.method.name}`;
  url.pathname = `${url.pathname.slice(0, -called.length)}${grant.path}${called}`;
  return next({ ...request, header, url: url.href });
};
