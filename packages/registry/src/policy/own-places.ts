import { networkInterfaces } from "node:os";
import type { HostContext } from "@cpg/core";
import { isLoopbackAddress } from "@cpg/core/extension";
import { canonicalAddress } from "./ip-address.ts";
import type { BoundedLookUp } from "./name-lookups.ts";

/** Where the host itself is. */
export type HostPlace = Pick<HostContext, "publicUrl" | "address">;

export interface OwnPlaces {
  /** Whether an address is one of this machine. */
  isThisMachine(address: string): boolean;
  /** Which of these addresses, with this port, lead to the host's own listener. */
  ownAmong(host: string, addresses: readonly string[], port: number, signal: AbortSignal): Promise<ReadonlySet<string>>;
}

/** Canonical addresses of all interfaces. They change while a host runs. */
export function interfaceAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).flatMap(({ address }) => canonicalAddress(address) ?? []),
  );
}

/** @param interfaces canonical addresses of this machine beside loopback. */
export function createOwnPlaces(
  place: HostPlace,
  lookUp: BoundedLookUp,
  interfaces: () => readonly string[],
): OwnPlaces {
  const isThisMachine = (address: string): boolean => isLoopbackAddress(address) || interfaces().includes(address);

  /** Addresses behind the public URL, as far as they can be known from here. */
  const publicAddresses = async (host: string, signal: AbortSignal): Promise<readonly string[]> => {
    const literal = canonicalAddress(host);
    if (literal !== undefined) return [literal];
    try {
      const found = await lookUp(host, signal);
      return found.flatMap((address) => canonicalAddress(address) ?? []);
    } catch {
      signal.throwIfAborted();
      return []; // the name may be known to others only; then nothing that this machine resolves leads there
    }
  };

  return {
    isThisMachine,
    async ownAmong(host, addresses, port, signal) {
      const listens = place.address();
      // Whatever it is bound to: that another program has the same port at another address is too rare to trust in.
      const own = new Set(listens?.kind === "tcp" && listens.port === port ? addresses.filter(isThisMachine) : []);
      const publicPlace = readPublicUrl(place.publicUrl());
      if (publicPlace?.port !== port) return own;
      if (publicPlace.host === host) return new Set(addresses);
      const behind = await publicAddresses(publicPlace.host, signal);
      for (const address of addresses) if (behind.includes(address)) own.add(address);
      return own;
    },
  };
}

function readPublicUrl(text: string): { readonly host: string; readonly port: number } | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") return undefined;
  const defaultPort = url.protocol === "https:" ? 443 : 80;
  const name = url.hostname.replace(/^\[|\]$|\.$/g, "");
  return { host: canonicalAddress(name) ?? name, port: url.port === "" ? defaultPort : Number(url.port) };
}
