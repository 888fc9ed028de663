import { type Clock, systemClock } from "@cpg/resilience";
import type { Rule } from "../rule/rule.ts";
import { type RuleResult, runRules } from "../rule/run-rules.ts";
import { selectRules } from "../rule/select-rules.ts";
import { onceItAnswers } from "../server/answer-rule.ts";
import { formatRules } from "../server/format-rules.ts";
import { handshakeRules } from "../server/handshake-rules.ts";
import { healthRules } from "../server/health-rules.ts";
import { createHttpClient } from "../wire/http-client.ts";
import { controlRules } from "./control-rules.ts";
import { joinRules } from "./join-rules.ts";
import { type KitHost, type KitHostOptions, startKitHost } from "./kit-host.ts";
import type { JoiningPlugin, PluginUnderTest } from "./plugin-under-test.ts";

/** All that a plugin can be asked from outside. A Go plugin often serves none of it. */
export const pluginRules: readonly Rule<PluginUnderTest>[] = onceItAnswers([
  ...[...handshakeRules, ...formatRules].map((rule) => ({ ...rule, mayLack: true })),
  ...healthRules,
  ...controlRules,
]);

/** All that is seen of a plugin that joins a host by itself. */
export const joiningRules: readonly Rule<JoiningPlugin>[] = joinRules;

interface CommonOptions {
  /** The kit's own host: where it listens, and how the plugin reaches it. Default: on 127.0.0.1. */
  readonly place?: KitHostOptions | undefined;
  /** Demands all that PROTOCOL.md says of a plugin of ours. Default false. */
  readonly strict?: boolean | undefined;
  /** Ids of rules, or groups. Default: all. */
  readonly only?: readonly string[] | undefined;
  /** Bound on one rule, in ms. Default 10 000; 60 000 for a plugin that joins, which somebody has to start. */
  readonly ruleTimeoutMs?: number | undefined;
  /** Bound on all rules, in ms. Default 300 000. */
  readonly totalTimeoutMs?: number | undefined;
  readonly onResult?: ((result: RuleResult) => void) | undefined;
  readonly clock?: Clock | undefined;
}

export interface CheckPluginOptions extends CommonOptions {
  /** Where the plugin listens. */
  readonly endpoint: string;
  /** PEM of the authority of an https endpoint. Default: those of Node. */
  readonly ca?: string | undefined;
  /** What proves a host to the plugin. Default: nothing does. */
  readonly controlToken?: string | undefined;
  /** Ends the plugin, as the last thing. Default false. */
  readonly shutdown?: boolean | undefined;
}

/**
 * Checks a running plugin, as a host that manages it.
 * @throws {BadChoice} for an endpoint that is none, for a rule that is none, and for a place where it cannot listen.
 */
export async function checkPlugin(options: CheckPluginOptions): Promise<RuleResult[]> {
  const { endpoint, ca, controlToken, shutdown = false, place, only = [], clock = systemClock } = options;
  const rules = selectRules(pluginRules, only);
  const http = createHttpClient({ endpoint, ca });
  const host = await startKitHost(place);
  const subjectFor = (signal: AbortSignal): PluginUnderTest => ({
    http,
    signal,
    clock,
    host,
    controlToken,
    mayEnd: shutdown,
  });
  try {
    return await runRules({ ...boundsOf(options), rules, subjectFor, clock });
  } finally {
    http.close();
    await host.close();
  }
}

export interface CheckJoiningOptions extends CommonOptions {
  /** Hears the URL of the kit's host, HOST_URL of the plugin: it is to be started now. */
  onReady(hostUrl: string): void;
}

/**
 * Checks a plugin that registers itself, as the host that it joins.
 * @throws {BadChoice} for a rule that is none, and for a place where it cannot listen.
 */
export async function checkJoiningPlugin(options: CheckJoiningOptions): Promise<RuleResult[]> {
  const { place, only = [], clock = systemClock, onReady } = options;
  const rules = selectRules(joinRules, only);
  const host: KitHost = await startKitHost(place);
  try {
    onReady(host.url);
    const bounds = boundsOf({ ...options, ruleTimeoutMs: options.ruleTimeoutMs ?? 60_000 });
    return await runRules({ ...bounds, rules, subjectFor: (signal) => ({ host, signal, clock }), clock });
  } finally {
    await host.close();
  }
}

function boundsOf({ strict = false, ruleTimeoutMs = 10_000, totalTimeoutMs = 300_000, onResult }: CommonOptions) {
  return { strict, ruleTimeoutMs, totalTimeoutMs, onResult };
}
