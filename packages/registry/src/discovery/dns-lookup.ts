import { Resolver } from "node:dns/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { within } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";
import type { SrvRecord } from "./srv-order.ts";

export interface DnsLookUpOptions {
  readonly servers: readonly string[] | undefined;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

export interface FoundAddresses {
  /** Those of IPv4 first. Empty: the name has none. */
  readonly addresses: readonly string[];
  /** The shortest of them; undefined without addresses. */
  readonly ttlMs: number | undefined;
}

/** The questions of one look-up. Each fails with Node's error, unless DNS says that there is nothing. */
export interface DnsQuestions {
  addresses(name: string, family?: 4 | 6): Promise<FoundAddresses>;
  srv(name: string): Promise<readonly SrvRecord[]>;
}

/** Questions that wait for an answer are asked again; within the bound on the whole there is time for three rounds. */
const tries = 3;

/**
 * Asks DNS servers, within `timeoutMs`. Files of this machine, such as /etc/hosts, have no part in it.
 * @throws {ConnectError} `unavailable` when there is no answer. The reason of `signal`.
 */
export async function lookUp<T>(
  { servers, timeoutMs, clock }: DnsLookUpOptions,
  name: string,
  ask: (questions: DnsQuestions) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const resolver = new Resolver({ timeout: Math.ceil(timeoutMs / (2 ** tries - 1)), tries });
  if (servers !== undefined) resolver.setServers(servers);
  try {
    return await within(
      clock,
      timeoutMs,
      () => ask(questionsOf(resolver)),
      () => new ConnectError(`no answer about ${name} within ${timeoutMs} ms`, Code.Unavailable),
      signal,
    );
  } catch (reason) {
    signal?.throwIfAborted();
    if (reason instanceof ConnectError) throw reason;
    const why = codeOf(reason) ?? String(reason);
    throw new ConnectError(`cannot find out about ${name}: ${why}`, Code.Unavailable, undefined, undefined, reason);
  } finally {
    resolver.cancel();
  }
}

function questionsOf(resolver: Resolver): DnsQuestions {
  return {
    async addresses(name, family) {
      const [v4, v6] = await Promise.allSettled([
        family === 6 ? [] : orNothing(resolver.resolve4(name, { ttl: true })),
        family === 4 ? [] : orNothing(resolver.resolve6(name, { ttl: true })),
      ]);
      const found = [v4, v6].flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
      // Some servers fail on one kind of question; what the other kind finds is good enough.
      if (found.length === 0) for (const answer of [v4, v6]) if (answer.status === "rejected") throw answer.reason;
      return {
        addresses: found.map(({ address }) => address),
        ttlMs: found.length === 0 ? undefined : Math.min(...found.map(({ ttl }) => ttl)) * 1_000,
      };
    },
    srv: (name) => orNothing(resolver.resolveSrv(name)),
  };
}

/** DNS has answered: there is no such name, or it has no such records. */
const nothing: ReadonlySet<string | undefined> = new Set(["ENOTFOUND", "ENODATA"]);

async function orNothing<T>(answer: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await answer;
  } catch (reason) {
    if (nothing.has(codeOf(reason))) return [];
    throw reason;
  }
}

function codeOf(reason: unknown): string | undefined {
  return reason instanceof Error && "code" in reason && typeof reason.code === "string" ? reason.code : undefined;
}
