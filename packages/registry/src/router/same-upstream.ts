import type { Upstream } from "./upstream.ts";

/** Whether calls to the two go over the same connections. */
export function isSameUpstream(one: Upstream, other: Upstream): boolean {
  if (one === other) return true;
  if (one.kind === "direct") return other.kind === "direct" && one.endpoint === other.endpoint;
  if (one.kind === "unix") return other.kind === "unix" && one.path === other.path && one.http === other.http;
  return (
    other.kind === "http" &&
    one.address === other.address &&
    one.port === other.port &&
    one.secure === other.secure &&
    one.servername === other.servername &&
    one.authority === other.authority &&
    one.http === other.http
  );
}
