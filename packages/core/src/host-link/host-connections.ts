import type { Transport } from "@connectrpc/connect";
import type { CallTransport } from "../wire/call-transport.ts";

type HttpVersion = "1.1" | "2";

/** What one connection is for; connections of the same use are shared. */
export interface HostAddress {
  readonly hostUrl: string;
  readonly httpVersion: HttpVersion;
}

/** The connections of a link: one for each host and HTTP version in use. */
export interface HostConnections {
  /** Opens it if need be; without I/O. */
  to(address: HostAddress): Transport;
  /** Closes all but these. */
  keep(addresses: Iterable<HostAddress>): void;
  /** Closes all. Never rejects. */
  close(): Promise<void>;
}

/** @param onLost hears when a connection was lost, as far as its transport tells. */
export function createHostConnections(
  connect: (hostUrl: string, httpVersion: HttpVersion, onLost: () => void) => CallTransport,
  onLost: (address: HostAddress) => void,
): HostConnections {
  const open = new Map<string, CallTransport>();
  const keyOf = ({ hostUrl, httpVersion }: HostAddress): string => `${httpVersion} ${hostUrl}`;
  const closeAllBut = (kept: ReadonlySet<string>): Promise<unknown> => {
    const closing: Promise<void>[] = [];
    for (const [key, calls] of open) {
      if (kept.has(key)) continue;
      open.delete(key);
      closing.push(calls.close());
    }
    return Promise.allSettled(closing);
  };
  return {
    to(address) {
      const key = keyOf(address);
      let calls = open.get(key);
      if (calls === undefined) {
        calls = connect(address.hostUrl, address.httpVersion, () => onLost(address));
        open.set(key, calls);
      }
      return calls.transport;
    },
    keep(addresses) {
      void closeAllBut(new Set(Array.from(addresses, keyOf)));
    },
    async close() {
      await closeAllBut(new Set());
    },
  };
}
