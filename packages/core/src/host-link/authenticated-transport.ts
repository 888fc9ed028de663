import {
  Code,
  ConnectError,
  type ContextKey,
  type ContextValues,
  createContextKey,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { HEADER } from "../protocol/constants.ts";
import { ConnectionError } from "../wire/call-error.ts";
import { withContextValue } from "./with-context-value.ts";

/** What one call travels on, and under which identity. */
export interface CallIdentity {
  readonly transport: Transport;
  readonly runtimeId: string;
  readonly runtimeToken: string;
}

/** "refused": a call was answered `unauthenticated`. "lost": its connection could not be made, or broke. */
export type CallTrouble = "refused" | "lost";

/**
 * A transport that adds to each call the credentials that `current` gives at that time. `onTrouble` hears of calls that
 * were refused or lost, at their start or in the middle of a stream.
 */
export function createAuthenticatedTransport<Identity extends CallIdentity>(
  current: () => Identity,
  onTrouble: (identity: Identity, trouble: CallTrouble) => void,
): Transport {
  const look = (identity: Identity, reason: unknown): void => {
    if (!(reason instanceof ConnectError)) return;
    if (reason.code === Code.Unauthenticated) onTrouble(identity, "refused");
    else if (reason.cause instanceof ConnectionError) onTrouble(identity, "lost");
  };
  return {
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      const identity = current();
      const headers = new Headers(header);
      setCredentials(headers, identity);
      const values = withIdentity(contextValues, identity);
      try {
        return await identity.transport.unary(method, signal, timeoutMs, headers, input, values);
      } catch (reason) {
        look(identity, reason);
        throw reason;
      }
    },
    async stream(method, signal, timeoutMs, header, input, contextValues) {
      const identity = current();
      const headers = new Headers(header);
      setCredentials(headers, identity);
      const values = withIdentity(contextValues, identity);
      try {
        const response = await identity.transport.stream(method, signal, timeoutMs, headers, input, values);
        return { ...response, message: observed(response.message, (reason) => look(identity, reason)) };
      } catch (reason) {
        look(identity, reason);
        throw reason;
      }
    },
  };
}

/** The values of a call that `keepCredentials` gives these credentials. */
export function withIdentity(values: ContextValues | undefined, identity: CallIdentity): ContextValues {
  return withContextValue(values, identityKey, identity);
}

/** Set on calls of an authenticated transport. */
const identityKey: ContextKey<CallIdentity | undefined> = createContextKey<CallIdentity | undefined>(undefined, {
  description: "identity of the call",
});

/**
 * The innermost interceptor of a transport to the host: what others set as Authorization, for the handshake, does not
 * take the place of the runtime token.
 */
export const keepCredentials: Interceptor = (next) => (request) => {
  const identity = request.contextValues.get(identityKey);
  if (identity === undefined) return next(request);
  const header = new Headers(request.header);
  setCredentials(header, identity);
  return next({ ...request, header });
};

function setCredentials(header: Headers, { runtimeId, runtimeToken }: CallIdentity): void {
  header.set(HEADER.runtimeId, runtimeId);
  header.set(HEADER.authorization, `Bearer ${runtimeToken}`);
}

async function* observed<T>(
  messages: AsyncIterable<T>,
  onError: (reason: unknown) => void,
): AsyncGenerator<T, void, void> {
  try {
    yield* messages;
  } catch (reason) {
    onError(reason);
    throw reason;
  }
}
