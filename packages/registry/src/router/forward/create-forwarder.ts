import { followTlsUpdates, secureContextOf } from "@cpg/core/extension";
import { systemClock } from "@cpg/resilience";
import { UnsentError } from "../upstream-pool/unsent-error.ts";
import { createUpstreamEntry, type UpstreamEntry } from "../upstream-pool/upstream-entry.ts";
import { resolveForwarderLimits } from "../upstream-pool/upstream-limits.ts";
import { carryCall } from "./carry-call.ts";
import type { Forwarder, SocketUpstream } from "./forwarder.ts";
import type { ForwarderOptions } from "./forwarder-options.ts";

/**
 * A forwarder on Node's own HTTP/1.1 and HTTP/2. It keeps connections to each provider, opened by the first call; they close
 * when nobody has used them for a while.
 *
 * Of the body of a call that is under way it holds, in each direction, what fits the buffers of Node's streams and HTTP/2's
 * window: less than 512 KiB. A slow reader makes the writer wait.
 * @throws {TypeError} naming the field of `tls`. {RangeError} naming the limit.
 */
export function createForwarder(options: ForwarderOptions = {}): Forwarder {
  const { clock = systemClock, tls } = options;
  const limits = resolveForwarderLimits(options.limits);
  let context = secureContextOf(tls);
  const stopUpdates = followTlsUpdates(tls?.updates, (material) => {
    context = secureContextOf({ ...tls, ...material });
    // New calls are to travel over new connections.
    for (const entry of [...entries.values()]) entry.retire();
    entries.clear();
  });
  /** By what a connection depends on. */
  const entries = new Map<string, UpstreamEntry>();
  /** Those whose connections are still there. */
  const open = new Set<UpstreamEntry>();
  const keys = new WeakMap<SocketUpstream, string>();
  let closing: Promise<void> | undefined;

  const entryOf = (upstream: SocketUpstream): UpstreamEntry => {
    let key = keys.get(upstream);
    if (key === undefined) {
      key = keyOf(upstream);
      keys.set(upstream, key);
    }
    const known = entries.get(key);
    if (known !== undefined) return known;
    const entry = createUpstreamEntry({
      upstream,
      limits,
      clock,
      secureContext: () => context,
      onUnused() {
        open.delete(entry);
        if (entries.get(key) === entry) entries.delete(key);
      },
    });
    entries.set(key, entry);
    open.add(entry);
    return entry;
  };

  return {
    forward(exchange, request) {
      const acquire = () => {
        if (closing !== undefined) return Promise.reject(new UnsentError("closed", "the forwarder is closed"));
        return entryOf(request.upstream).acquire();
      };
      return carryCall(exchange, request, acquire);
    },
    retire(upstream) {
      const key = keyOf(upstream);
      entries.get(key)?.retire();
      entries.delete(key);
    },
    close() {
      if (closing === undefined) {
        stopUpdates();
        const error = new Error("the forwarder was closed");
        closing = Promise.all([...open].map((entry) => entry.close(error))).then(() => {});
        entries.clear();
      }
      return closing;
    },
  };
}

function keyOf(upstream: SocketUpstream): string {
  const { kind, http, authority } = upstream;
  if (kind === "unix") return JSON.stringify([kind, upstream.path, authority, http]);
  const { address, port, secure, servername } = upstream;
  return JSON.stringify([kind, address, port, secure, servername ?? null, authority, http]);
}
