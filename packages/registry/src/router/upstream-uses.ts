import type { Upstream } from "./upstream.ts";

/** Counts who uses an upstream: two registrations, even of two providers, may share one. */
export interface UpstreamUses {
  add(upstream: Upstream | undefined): void;
  /** Tells `onUnused` when nobody is left. */
  remove(upstream: Upstream | undefined): void;
}

export function createUpstreamUses(onUnused: (upstream: Upstream) => void): UpstreamUses {
  const counts = new Map<unknown, number>();
  return {
    add(upstream) {
      if (upstream === undefined) return;
      const key = keyOf(upstream);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    },
    remove(upstream) {
      if (upstream === undefined) return;
      const key = keyOf(upstream);
      const left = (counts.get(key) ?? 0) - 1;
      if (left > 0) {
        counts.set(key, left);
      } else if (counts.delete(key)) {
        onUnused(upstream);
      }
    },
  };
}

/** The same for upstreams whose calls go over the same connections. */
function keyOf(upstream: Upstream): unknown {
  if (upstream.kind === "direct") return upstream.endpoint;
  if (upstream.kind === "unix") return JSON.stringify([upstream.path, upstream.authority, upstream.http]);
  const { secure, address, port, authority, servername, http } = upstream;
  return JSON.stringify([secure, address, port, authority, servername, http]);
}
