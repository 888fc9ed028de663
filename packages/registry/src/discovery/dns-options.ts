import { Resolver } from "node:dns";
import type { ConnectError } from "@connectrpc/connect";
import { type Clock, systemClock } from "@cpg/resilience";
import { cryptoRandom } from "../selection/crypto-random.ts";

interface DnsOptions {
  /** Default "http". */
  readonly scheme?: "http" | "https" | undefined;
  /** Path that all endpoints have, for example "/plugins". Default: none. */
  readonly path?: string | undefined;
  /** DNS servers, such as "10.0.0.2" or "127.0.0.1:5353". Default: those of this machine. */
  readonly servers?: readonly string[] | undefined;
  /** Bound on one look-up, with all its questions, in ms. Default 5 000. */
  readonly timeoutMs?: number | undefined;
  /** Delay after a look-up that failed or found nothing, in ms: grows from the first to the second. Default 1 000 to 30 000. */
  readonly retryMs?: readonly [first: number, longest: number] | undefined;
  /** Hears of each failure of a watch, which keeps what it knows. What it throws is dropped. Default: nobody. */
  readonly onError?: ((error: ConnectError) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** Source of the order among equals and of jitter, at least 0 and less than 1. */
  readonly random?: (() => number) | undefined;
}

/** Of a name with addresses, each of which is an endpoint at the same port. */
export interface DnsAddressOptions extends DnsOptions {
  readonly name: string;
  readonly port: number;
  /** Asks for addresses of one kind only. Default: both. */
  readonly family?: 4 | 6 | undefined;
  /** Addresses are used at least this long, in ms, whatever their TTL is. Default 1 000. */
  readonly minTtlMs?: number | undefined;
  /** Addresses are looked up again after this time, in ms, whatever their TTL is. Default 300 000. */
  readonly maxTtlMs?: number | undefined;
}

/** Of a name with SRV records, such as "_kv._tcp.example.org". */
export interface DnsSrvOptions extends DnsOptions {
  readonly name: string;
  readonly port?: undefined;
  /** Time between two look-ups, in ms. Node does not tell the TTL of SRV records. Default 30 000. */
  readonly refreshMs?: number | undefined;
}

export type DnsEndpointsOptions = DnsAddressOptions | DnsSrvOptions;

export type ResolvedDnsOptions = ReturnType<typeof resolveDnsOptions>;

/** @throws {TypeError} {RangeError} naming the option. */
export function resolveDnsOptions(options: DnsEndpointsOptions) {
  const { name, scheme = "http", path = "", servers, timeoutMs = 5_000, onError = () => {} } = options;
  const { retryMs = [1_000, 30_000], clock = systemClock, random = cryptoRandom } = options;
  const [retryFirstMs, retryLongestMs] = retryMs;
  checkDnsName(name);
  if (scheme !== "http" && scheme !== "https") {
    throw new TypeError(`scheme must be "http" or "https", got ${JSON.stringify(scheme)}`);
  }
  if (!pathPattern.test(path)) throw new TypeError("path must be empty, or begin with / and not end with it");
  if (servers !== undefined) checkServers(servers);
  checkMs("timeoutMs", timeoutMs);
  checkMs("retryMs[0]", retryFirstMs);
  checkMs("retryMs[1]", retryLongestMs, retryFirstMs);
  const backoff = { initialMs: retryFirstMs, maxMs: retryLongestMs, jitter: "equal" } as const;
  const common = { name, scheme, path, servers, timeoutMs, backoff, onError, clock, random };
  if (options.port === undefined) {
    const { refreshMs = 30_000 } = options;
    checkMs("refreshMs", refreshMs);
    return { ...common, records: "srv", refreshMs } as const;
  }
  const { port, family, minTtlMs = 1_000, maxTtlMs = 300_000 } = options;
  if (!(Number.isInteger(port) && port >= 1 && port <= 65_535)) {
    throw new RangeError(`port must be a whole number from 1 to 65535, got ${port}`);
  }
  if (family !== undefined && family !== 4 && family !== 6) throw new TypeError(`family must be 4 or 6, got ${family}`);
  checkMs("minTtlMs", minTtlMs);
  checkMs("maxTtlMs", maxTtlMs, minTtlMs);
  return { ...common, records: "addresses", port, family, minTtlMs, maxTtlMs } as const;
}

const pathPattern = /^(?:\/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*$/;
const label = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
const maxNameBytes = 253;

function checkDnsName(name: string): void {
  const bare = name.replace(/\.$/, "");
  const isName = bare.length <= maxNameBytes && bare.split(".").every((part) => label.test(part));
  // The last label of an IPv4 address is a number, and no top-level domain is.
  if (!isName || /(?:^|\.)\d+$/.test(bare)) throw new TypeError(`name must be a DNS name, got ${JSON.stringify(name)}`);
}

function checkServers(servers: readonly string[]): void {
  if (servers.length === 0) throw new TypeError("servers must name at least one server");
  for (const [index, server] of servers.entries()) {
    try {
      new Resolver().setServers([server]);
    } catch (reason) {
      throw new TypeError(`servers[${index}] must be an IP address, with or without a port`, { cause: reason });
    }
  }
}

function checkMs(option: string, ms: number, least = 1): void {
  if (!(Number.isFinite(ms) && ms >= least)) {
    throw new RangeError(`${option} must be a finite number of ms from ${least}, got ${ms}`);
  }
}
