import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { SERVER_METADATA } from "@cpg/core/extension";
import type { RegistryLink } from "./registry-link.ts";
import type { ServiceViews } from "./resumed-watch.ts";

export interface FollowedTransportOptions {
  readonly type: string;
  /** "": any. */
  readonly minVersion: string;
  readonly link: Pick<RegistryLink, "transportTo" | "hostMetadata" | "onIdentityChange">;
  /** The path of a provider that fits, as the host sees it now. */
  discover(): Promise<string>;
  watch(signal: AbortSignal): ServiceViews;
}

export interface FollowedTransport {
  readonly transport: Transport;
  /** Forgets the provider, and stops to follow what becomes of it. Idempotent. */
  close(): void;
}

/**
 * Calls of one service type through the host. A host of ours chooses the provider of each call; with a least version, or
 * under another host, it is asked for a provider once, and again when the registry tells of a change, when the plugin gets
 * another identity, and after a call that found the provider gone (`unavailable`, `not_found`).
 */
export function createFollowedTransport(options: FollowedTransportOptions): FollowedTransport {
  const { type, minVersion, link, discover, watch } = options;
  const closed = new AbortController();
  let found: Promise<string> | undefined;
  let following = false;

  const forget = (): void => {
    found = undefined;
  };
  const forgetIdentity = link.onIdentityChange(forget);

  const follow = async (): Promise<void> => {
    try {
      for await (const _ of watch(closed.signal)) forget();
    } catch {
      // Closed, or a host without watches: a failed call tells, too.
    }
  };

  const prefix = (): Promise<string> => {
    if (minVersion === "" && link.hostMetadata[SERVER_METADATA.router] === "1") {
      return Promise.resolve(`/services/${type}/-`);
    }
    if (!following && !closed.signal.aborted) {
      following = true;
      void follow();
    }
    if (found !== undefined) return found;
    const asked = discover();
    found = asked;
    asked.catch(() => {
      if (found === asked) forget();
    });
    return asked;
  };

  const look = (reason: unknown): void => {
    const { code } = ConnectError.from(reason);
    if (code === Code.Unavailable || code === Code.NotFound) forget();
  };
  const transport: Transport = {
    async unary(method, signal, timeoutMs, header, input, values) {
      const to = link.transportTo(await unlessAborted(prefix(), signal));
      try {
        return await to.unary(method, signal, timeoutMs, header, input, values);
      } catch (reason) {
        look(reason);
        throw reason;
      }
    },
    async stream(method, signal, timeoutMs, header, input, values) {
      const to = link.transportTo(await unlessAborted(prefix(), signal));
      try {
        return await to.stream(method, signal, timeoutMs, header, input, values);
      } catch (reason) {
        look(reason);
        throw reason;
      }
    },
  };
  return {
    transport,
    close() {
      closed.abort("the registry client is closed");
      forgetIdentity();
      forget();
    },
  };
}

/** Several calls wait for one answer: one that gives up does not end it for the others. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
