import type { SecureContext } from "node:tls";
import type { Clock } from "@cpg/resilience";
import type { SocketUpstream } from "../forward/forwarder.ts";
import { createDialer } from "./dialer.ts";
import { createHttp1Connections } from "./http1-connections.ts";
import { createHttp2Connections } from "./http2-connections.ts";
import { UnsentError } from "./unsent-error.ts";
import type { ResolvedForwarderLimits } from "./upstream-limits.ts";
import type { UpstreamSlot } from "./upstream-stream.ts";

export interface UpstreamEntryOptions {
  readonly upstream: SocketUpstream;
  readonly limits: ResolvedForwarderLimits;
  readonly clock: Clock;
  /** What TLS shows and trusts, at this moment. */
  secureContext(): SecureContext;
  /** Nothing is open or waited for any more. */
  onUnused(): void;
}

/** All connections to one provider. */
export interface UpstreamEntry {
  /** Room for a call: at once if there is any. Rejects with an UnsentError, in bounded time. */
  acquire(): UpstreamSlot | Promise<UpstreamSlot>;
  /** Closes connections once their calls have ended. */
  retire(): void;
  /** Cuts everything. Resolves when all connections are closed. */
  close(error: Error): Promise<void>;
}

/**
 * Where nobody has said which HTTP a provider speaks, HTTP/2 is tried first: over TLS it is agreed upon (ALPN), in cleartext
 * the provider has to send its first frame in time. A provider that does not is spoken to over HTTP/1.1, until a call there
 * gets no answer.
 */
export function createUpstreamEntry(options: UpstreamEntryOptions): UpstreamEntry {
  const { upstream, limits, clock, secureContext, onUnused } = options;
  const unsure = upstream.http === "auto";
  let onlyHttp1 = upstream.http === "1.1";
  let asking = 0;

  const checkUnused = (): void => {
    if (asking + dialer.open + http1.inUse + http2.inUse === 0) onUnused();
  };
  const dialer = createDialer({
    upstream,
    connectTimeoutMs: limits.connectTimeoutMs,
    clock,
    secureContext,
    // Those above it hear of the end of a socket after this.
    onClosed: () => void setImmediate(checkUnused),
  });
  const http2 = createHttp2Connections({ upstream, dialer, unsure, limits, clock });
  const http1 = createHttp1Connections({
    upstream,
    dialer,
    limits,
    clock,
    onUnanswered() {
      onlyHttp1 = upstream.http === "1.1";
    },
  });

  const fallBack = async (slot: Promise<UpstreamSlot>): Promise<UpstreamSlot> => {
    asking++;
    try {
      return await slot;
    } catch (reason) {
      if (!(reason instanceof UnsentError && reason.unsent === "protocol")) throw reason;
      onlyHttp1 = true;
      return await http1.acquire();
    } finally {
      asking--;
    }
  };

  return {
    acquire() {
      if (onlyHttp1) return http1.acquire();
      const slot = http2.acquire();
      return unsure && slot instanceof Promise ? fallBack(slot) : slot;
    },
    retire() {
      http1.retire();
      http2.retire();
    },
    close(error) {
      http1.close(error);
      http2.close(error);
      return dialer.close(error);
    },
  };
}
