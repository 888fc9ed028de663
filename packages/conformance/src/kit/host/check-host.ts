import { type Clock, systemClock } from "@cpg/resilience";
import { type RuleResult, runRules } from "../rule/run-rules.ts";
import { selectRules } from "../rule/select-rules.ts";
import { withinTime } from "../rule/within-time.ts";
import { createHttpClient } from "../wire/http-client.ts";
import { type ProviderPlace, startEchoProvider } from "./echo-provider.ts";
import { tryUnregister } from "./host-calls.ts";
import { hostRules } from "./host-rules.ts";
import type { Credentials, HostUnderTest } from "./host-under-test.ts";

export interface CheckHostOptions {
  /** Where the host listens. */
  readonly endpoint: string;
  /** PEM of the authority of an https endpoint. Default: those of Node. */
  readonly ca?: string | undefined;
  /** Where the kit's own plugins listen, and how the host reaches them. Default: on 127.0.0.1. */
  readonly place?: ProviderPlace | undefined;
  /** Demands all that PROTOCOL.md says of a host of ours. Default false. */
  readonly strict?: boolean | undefined;
  /** Ids of rules, or groups. Default: all. */
  readonly only?: readonly string[] | undefined;
  /** Bound on one rule, in ms. Default 10 000. */
  readonly ruleTimeoutMs?: number | undefined;
  /** Bound on all rules, in ms. Default 300 000. */
  readonly totalTimeoutMs?: number | undefined;
  readonly onResult?: ((result: RuleResult) => void) | undefined;
  readonly clock?: Clock | undefined;
}

const cleanUpMs = 5_000;

/**
 * Checks a running host, as plugins of the kit's own that come, register, call each other and go. What they registered
 * is taken back at the end.
 * @throws {BadChoice} for an endpoint that is none, for a rule that is none, and for a place where it cannot listen.
 */
export async function checkHost(options: CheckHostOptions): Promise<RuleResult[]> {
  const { endpoint, ca, place = {}, strict = false, only = [], clock = systemClock, onResult } = options;
  const { ruleTimeoutMs = 10_000, totalTimeoutMs = 300_000 } = options;
  const rules = selectRules(hostRules, only);
  const http = createHttpClient({ endpoint, ca });
  const provider = await startEchoProvider(place);
  const plugins = new Map<string, Credentials>();
  const registered: HostUnderTest["registered"] = [];
  const subjectFor = (signal: AbortSignal): HostUnderTest => ({
    http,
    signal,
    clock,
    ca,
    provider,
    providerPlace: place,
    plugins,
    registered,
  });
  try {
    return await runRules({ rules, subjectFor, strict, ruleTimeoutMs, totalTimeoutMs, clock, onResult });
  } finally {
    await takeBack(clock, subjectFor, registered);
    http.close();
    await provider.close();
  }
}

/** What fails here is gone already, or nobody's business any more. */
async function takeBack(
  clock: Clock,
  subjectFor: (signal: AbortSignal) => HostUnderTest,
  registered: HostUnderTest["registered"],
): Promise<void> {
  try {
    await withinTime(clock, cleanUpMs, async (signal) => {
      const host = subjectFor(signal);
      for (const { plugin, id } of registered) await tryUnregister(host, plugin, id);
    });
  } catch {}
}
