import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { CurrentCredential } from "./credential-source.ts";
import { formatHeaderCredential, type HeaderPlace } from "./header-credential.ts";

/**
 * Interceptor of a client: adds a credential to every call. A unary call that the server answers with `unauthenticated` is
 * sent once more with a new credential, if the source has one; a stream is not, as its messages may be gone, but the next
 * call has the new one.
 */
export function sendCredential(place: HeaderPlace, credential: CurrentCredential): Interceptor {
  return (next) => async (request) => {
    const send = async (value: string) => {
      const header = new Headers(request.header);
      header.set(place.header, formatHeaderCredential(place, value));
      return await next({ ...request, header });
    };
    const value = await credential.get(request.signal);
    const onRefusal = () => credential.refuse(value);
    try {
      const response = await send(value);
      return response.stream ? { ...response, message: noticing(response.message, onRefusal) } : response;
    } catch (reason) {
      if (!isRefusal(reason)) throw reason;
      onRefusal();
      if (request.stream || request.signal.aborted) throw reason;
      const another = await credential.get(request.signal);
      if (another === value) throw reason;
      return await send(another);
    }
  };
}

/** A server refuses a stream in what it answers instead of messages. */
async function* noticing<T>(messages: AsyncIterable<T>, onRefusal: () => void): AsyncGenerator<T, void, void> {
  try {
    yield* messages;
  } catch (reason) {
    if (isRefusal(reason)) onRefusal();
    throw reason;
  }
}

function isRefusal(reason: unknown): boolean {
  return ConnectError.from(reason).code === Code.Unauthenticated;
}
