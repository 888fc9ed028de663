import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { HEADER } from "../protocol/constants.ts";

/** What one call travels on, and under which identity. */
export interface CallIdentity {
  readonly transport: Transport;
  readonly runtimeId: string;
  readonly runtimeToken: string;
}

/**
 * A transport that adds to each call the credentials that `current` gives at that time. `onRefused` hears of calls that
 * were answered `unauthenticated`, at their start or in the middle of a stream.
 */
export function createAuthenticatedTransport<Identity extends CallIdentity>(
  current: () => Identity,
  onRefused: (identity: Identity) => void,
): Transport {
  const look = (identity: Identity, reason: unknown): void => {
    if (reason instanceof ConnectError && reason.code === Code.Unauthenticated) onRefused(identity);
  };
  return {
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      const identity = current();
      const credentials = withCredentials(header, identity);
      try {
        return await identity.transport.unary(method, signal, timeoutMs, credentials, input, contextValues);
      } catch (reason) {
        look(identity, reason);
        throw reason;
      }
    },
    async stream(method, signal, timeoutMs, header, input, contextValues) {
      const identity = current();
      const credentials = withCredentials(header, identity);
      try {
        const response = await identity.transport.stream(method, signal, timeoutMs, credentials, input, contextValues);
        return { ...response, message: observed(response.message, (reason) => look(identity, reason)) };
      } catch (reason) {
        look(identity, reason);
        throw reason;
      }
    },
  };
}

function withCredentials(
  header: ConstructorParameters<typeof Headers>[0],
  { runtimeId, runtimeToken }: CallIdentity,
): Headers {
  const headers = new Headers(header);
  headers.set(HEADER.runtimeId, runtimeId);
  headers.set(HEADER.authorization, `Bearer ${runtimeToken}`);
  return headers;
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
