import { isIPv6 } from "node:net";
import { ConnectError } from "@connectrpc/connect";
import type { EndpointDiscovery } from "@cpg/core";
import { callListener } from "@cpg/core/extension";
import { createBackoff } from "@cpg/resilience";
import { type DnsQuestions, lookUp } from "./dns-lookup.ts";
import { type DnsEndpointsOptions, type ResolvedDnsOptions, resolveDnsOptions } from "./dns-options.ts";
import { leavableStream } from "./leavable-stream.ts";
import { orderSrv, type SrvRecord, shuffled } from "./srv-order.ts";

/** What one look-up found. */
interface Found {
  /** Equal when the same was found, in whatever order. */
  readonly facts: string;
  /** In an order to try them. */
  readonly endpoints: readonly string[];
  /** Time until the next look-up, in ms; undefined: nothing was found. */
  readonly freshMs: number | undefined;
}

/** As core takes no more of one discovery. */
const maxEndpoints = 100;

/**
 * Finds endpoints in DNS: with `port` the addresses (A and AAAA) of a name, each at this port; without it the targets of
 * its SRV records.
 *
 * Addresses come in random order, those of IPv4 first, so that clients spread; they are looked up again when their TTL
 * is over. Targets of SRV records come by priority, then at random by weight, RFC 2782; they are looked up again every
 * `refreshMs`. With "http" a target is looked up with the same servers, and its addresses are the endpoints; with
 * "https" the endpoint is its name, which the certificate is to name. Addresses with "https" need the `servername` of
 * the client's TLS options.
 *
 * A name that has no records has no endpoints: the list is empty. A watch tells a list when its members, their
 * priorities or weights have changed, and goes on through failures with what it knew.
 * @throws {TypeError} {RangeError} for bad options, naming the option.
 * @example
 * const endpoint = dnsEndpoints({ name: "kv.default.svc.cluster.local", port: 8080 });
 * await using client = createPluginClient({ endpoint, plugins: { kv } });
 */
export function dnsEndpoints(options: DnsEndpointsOptions): EndpointDiscovery {
  const resolved = resolveDnsOptions(options);
  const { name, backoff, onError, clock, random } = resolved;
  const look = (signal: AbortSignal | undefined): Promise<Found> =>
    lookUp(
      resolved,
      name,
      (questions) =>
        resolved.records === "srv" ? findTargets(questions, resolved) : findAddresses(questions, resolved),
      signal,
    );
  const report = (reason: unknown, signal: AbortSignal): void => {
    signal.throwIfAborted();
    const error = ConnectError.from(reason);
    callListener(
      () => onError(error),
      () => {},
    );
  };
  async function* follow(signal: AbortSignal): AsyncGenerator<readonly string[], void, void> {
    const pauses = createBackoff(backoff, random);
    let told: string | undefined;
    for (;;) {
      signal.throwIfAborted();
      const found = await look(signal).catch((reason) => report(reason, signal));
      if (found?.freshMs !== undefined) pauses.reset();
      const dueMs = clock.monotonic() + (found?.freshMs ?? pauses.next());
      if (found !== undefined && found.facts !== told) {
        told = found.facts;
        yield found.endpoints;
      }
      await clock.sleep(dueMs - clock.monotonic(), signal);
    }
  }

  return {
    async discover({ signal } = {}) {
      signal?.throwIfAborted();
      return (await look(signal)).endpoints;
    },
    watch: ({ signal } = {}) => leavableStream(follow, signal),
  };
}

async function findAddresses(
  questions: DnsQuestions,
  options: Extract<ResolvedDnsOptions, { records: "addresses" }>,
): Promise<Found> {
  const { name, port, family, minTtlMs, maxTtlMs, random } = options;
  const { addresses, ttlMs } = await questions.addresses(name, family);
  return {
    facts: factsOf(addresses),
    endpoints: inRandomOrder(addresses, random).map((address) => endpointOf(options, address, port)),
    freshMs: ttlMs === undefined ? undefined : Math.min(maxTtlMs, Math.max(minTtlMs, ttlMs)),
  };
}

async function findTargets(
  questions: DnsQuestions,
  options: Extract<ResolvedDnsOptions, { records: "srv" }>,
): Promise<Found> {
  const { name, scheme, refreshMs, random } = options;
  // The target "." says that there is decidedly no such service.
  const records = (await questions.srv(name)).filter((record) => bare(record.name) !== "");
  const ordered = orderSrv(records, random).slice(0, maxEndpoints);
  const placesOf = async ({ name: target }: SrvRecord): Promise<readonly string[]> =>
    scheme === "https" ? [bare(target)] : (await questions.addresses(target)).addresses;
  const answers = await Promise.allSettled(ordered.map(placesOf));
  const found = ordered.flatMap((record, index) => {
    const answer = answers[index];
    return answer?.status === "fulfilled" ? [{ record, places: answer.value }] : [];
  });
  // One target of which nothing can be found out does not hide the others.
  const failure = answers.find((answer) => answer.status === "rejected");
  if (found.length === 0 && failure !== undefined) throw failure.reason;
  const endpoints = found.flatMap(({ record, places }) =>
    inRandomOrder(places, random).map((place) => endpointOf(options, place, record.port)),
  );
  return {
    facts: factsOf(
      found.flatMap(({ record: { priority, weight, port }, places }) =>
        places.map((place) => `${priority} ${weight} ${place} ${port}`),
      ),
    ),
    endpoints: [...new Set(endpoints)].slice(0, maxEndpoints),
    freshMs: endpoints.length === 0 ? undefined : refreshMs,
  };
}

function factsOf(facts: readonly string[]): string {
  return facts.toSorted().join("\n");
}

/** Those of IPv6 last: more machines have only the other kind. */
function inRandomOrder(addresses: readonly string[], random: () => number): string[] {
  const order = shuffled([...new Set(addresses)], random);
  return order.toSorted((a, b) => Number(isIPv6(a)) - Number(isIPv6(b))).slice(0, maxEndpoints);
}

function endpointOf({ scheme, path }: ResolvedDnsOptions, host: string, port: number): string {
  return `${scheme}://${isIPv6(host) ? `[${host}]` : host}:${port}${path}`;
}

function bare(name: string): string {
  return name.replace(/\.$/, "");
}
