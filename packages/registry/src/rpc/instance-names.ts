import { createHash } from "node:crypto";
import { BlockList, isIP } from "node:net";
import type { DirectEndpoint, RuntimeIdentity } from "@cpg/core";
import type { Peer } from "@cpg/resilience";
import type { Upstream } from "../router/upstream.ts";
import type { ProviderFacts } from "../state/registry-store.ts";

export interface InstanceFacts {
  readonly identity: RuntimeIdentity;
  readonly instanceKey: string | undefined;
  /** Who registers. */
  readonly peer: Peer | undefined;
  readonly baseUrl: string | undefined;
  /** Undefined: it did not say where it listens. */
  readonly upstream: Upstream | undefined;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/**
 * Who registers, with the names by which the instance is known again: the key that it shows, kept only as its hash; and
 * its place. That is its self_id with its base_url and the address that it comes from, or, of a plugin that this host
 * launched, with where the host reaches it. One that has neither is nobody else but itself.
 */
export function providerFacts(facts: InstanceFacts): ProviderFacts {
  const { runtimeId: id, selfId } = facts.identity;
  const where = whereIs(facts);
  const place = where === undefined ? undefined : `place:${selfId} ${where}`;
  if (facts.instanceKey === undefined) return { id, selfId, instance: place ?? `id:${id}` };
  const hash = createHash("sha256").update(`${selfId}\0${facts.instanceKey}`).digest("base64url");
  return { id, selfId, instance: `key:${hash}`, place };
}

function whereIs({ peer, baseUrl, upstream }: InstanceFacts): string | undefined {
  if (upstream === undefined) return undefined;
  // Several in this process, or on sockets of this machine, may give the same URL, or none.
  if (upstream.kind === "direct") return `direct ${numberOf(upstream.endpoint)}`;
  if (upstream.kind === "unix") return `unix ${upstream.path}`;
  const address = peer && addressOf(peer);
  return baseUrl === undefined || address === undefined ? undefined : `${address} ${baseUrl}`;
}

const numbers = new WeakMap<DirectEndpoint, number>();
let lastNumber = 0;

function numberOf(endpoint: DirectEndpoint): number {
  const number = numbers.get(endpoint) ?? ++lastNumber;
  numbers.set(endpoint, number);
  return number;
}

function addressOf({ network, address }: Peer): string | undefined {
  if (network !== "tcp") return network;
  if (address === undefined) return undefined;
  // A plugin on this machine may come by IPv4 now and by IPv6 the next time.
  const family = isIP(address);
  return family !== 0 && loopback.check(address, family === 4 ? "ipv4" : "ipv6") ? "loopback" : address;
}
