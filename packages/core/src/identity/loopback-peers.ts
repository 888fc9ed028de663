import type { Peer } from "@cpg/resilience";
import { isLoopbackAddress } from "../internal/address-list.ts";
import type { AdmissionDecision, AdmissionPolicy, AdmissionRequest } from "./admission.ts";
import { hostNameOf } from "./host-name.ts";

export interface LoopbackPeersOptions {
  /**
   * Host names under which plugins on this machine may call this host, without port, beside localhost, 127.0.0.1 and
   * [::1]: for example a name from /etc/hosts. Compared without regard to case. Default: none.
   */
  readonly allowedHosts?: readonly string[] | undefined;
}

/** Headers that only a proxy or a browser sends. */
const foreignHeaders = ["forwarded", "via", "x-real-ip", "origin"];
const foreignPrefix = "x-forwarded";

/**
 * Admits plugins of this machine: peers on loopback, on a Unix socket or in memory. A request that a proxy or a browser
 * on this machine sent for somebody else is refused: one that carries Forwarded, X-Forwarded-*, Via, X-Real-IP or
 * Origin, or a Host outside the allowed names (DNS rebinding). A proxy that leaves no such trace cannot be told from a
 * plugin: where one forwards to this host, name another policy.
 * @throws {TypeError} for a malformed entry of `allowedHosts`.
 */
export function loopbackPeers({ allowedHosts = [] }: LoopbackPeersOptions = {}): AdmissionPolicy {
  const hosts = new Set(["localhost", "127.0.0.1", "::1"]);
  for (const host of allowedHosts) {
    const name = hostNameOf(host);
    if (name === undefined || name.hasPort) {
      throw new TypeError(`allowedHosts must hold host names without port, got ${JSON.stringify(host)}`);
    }
    hosts.add(name.host);
  }
  return { name: "loopbackPeers", admit: (request) => decide(request, hosts) };
}

function decide({ peer, authority, headers }: AdmissionRequest, hosts: ReadonlySet<string>): AdmissionDecision {
  if (!isLocal(peer)) return refuse("only peers on this machine get an identity");
  for (const [name] of headers) {
    if (foreignHeaders.includes(name) || name.startsWith(foreignPrefix)) {
      return refuse(`a request with the header ${name} comes from a proxy or a browser`);
    }
  }
  // HTTP/2 has :authority, and may carry a Host beside it; both have to be ours.
  for (const value of [authority, headers.get("host") ?? undefined]) {
    const name = value === undefined ? undefined : hostNameOf(value);
    if (value !== undefined && (name === undefined || !hosts.has(name.host))) {
      return refuse("the Host of the request is none of the allowed names");
    }
  }
  if (peer?.network === "tcp" && authority === undefined && !headers.has("host")) {
    return refuse("a request without Host is not admitted");
  }
  return { admitted: true };
}

function isLocal(peer: Peer | undefined): boolean {
  if (peer === undefined) return false;
  return peer.network !== "tcp" || isLoopbackAddress(peer.address ?? "");
}

function refuse(rule: string): AdmissionDecision {
  return { admitted: false, rule };
}
