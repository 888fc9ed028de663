import { Code, ConnectError } from "@connectrpc/connect";
import type { DeclaredServices, RuntimeIdentity } from "@cpg/core";
import { type Clock, createBackoff } from "@cpg/resilience";
import { createProbeTurns } from "../health/probe-turns.ts";
import type { Upstream } from "../router/upstream.ts";
import { askDescription, type PluginDescription } from "./plugin-description.ts";
import { openUpstreamCalls, type UpstreamCallOptions } from "./upstream-calls.ts";

export interface PeerDeclarationsOptions extends UpstreamCallOptions {
  readonly clock: Clock;
  /** At least 0 and less than 1, for the delays between attempts. Default: that of createBackoff. */
  readonly random?: (() => number) | undefined;
  /** Bound on one question, in ms. Default 5 000. */
  readonly timeoutMs?: number | undefined;
}

/** What plugins declared: when they shook hands, or when the host asked them. */
export interface PeerDeclarations {
  /** Undefined: nothing, as far as the host knows. */
  of(identity: RuntimeIdentity): DeclaredServices | undefined;
  /** For a plugin whose declarations the host knows from elsewhere. */
  learn(identity: RuntimeIdentity, declares: DeclaredServices): void;
  /**
   * Asks a plugin that could not declare when it shook hands (GetPluginInfo), again and again for a while: it may register
   * before it listens. One that does not serve that, or tells neither what it provides nor what it requires, declares
   * nothing. Resolves when that is settled; at once if it declared. Ends with the identity.
   * @throws {ConnectError} `unavailable` or `deadline_exceeded` when it never answers, `invalid_argument` when it
   * describes itself against the rules, `failed_precondition` when another plugin answers.
   */
  ask(identity: RuntimeIdentity, upstream: Upstream): Promise<void>;
  /** Ends what is under way. Idempotent. */
  close(): void;
}

const maxAsking = 16;
const maxAttempts = 10;
/** Ten attempts take about 30 s. */
const delays = { initialMs: 100, maxMs: 5_000, jitter: "equal" } as const;

export function createPeerDeclarations(options: PeerDeclarationsOptions): PeerDeclarations {
  const { clock, random, timeoutMs = 5_000 } = options;
  const learnt = new WeakMap<RuntimeIdentity, DeclaredServices>();
  const turns = createProbeTurns(maxAsking);
  const closed = new AbortController();

  const of = (identity: RuntimeIdentity): DeclaredServices | undefined => identity.declares ?? learnt.get(identity);

  /** The turn is given back while it waits for the next attempt: those who do not answer delay nobody else. */
  const askOnce = async (upstream: Upstream, signal: AbortSignal): Promise<PluginDescription | undefined> => {
    const endTurn = await turns.take(signal);
    const calls = openUpstreamCalls(upstream, options);
    try {
      return await askDescription(calls, { timeoutMs, signal });
    } finally {
      endTurn();
      await calls.close();
    }
  };
  const askUntilTold = async (upstream: Upstream, signal: AbortSignal): Promise<PluginDescription | undefined> => {
    const backoff = createBackoff(delays, random);
    for (let attempt = 1; ; attempt++) {
      try {
        return await askOnce(upstream, signal);
      } catch (reason) {
        signal.throwIfAborted();
        const { code } = ConnectError.from(reason);
        const mayAnswer = code === Code.Unavailable || code === Code.DeadlineExceeded;
        if (!mayAnswer || attempt >= maxAttempts) throw reason;
      }
      await clock.sleep(backoff.next(), signal);
    }
  };

  return {
    of,
    learn: (identity, declares) => void learnt.set(identity, declares),
    async ask(identity, upstream) {
      if (of(identity) !== undefined) return;
      const signal = AbortSignal.any([identity.ended, closed.signal]);
      let told: PluginDescription | undefined;
      try {
        told = await askUntilTold(upstream, signal);
      } catch (reason) {
        if (signal.aborted) return; // nobody is left who wants to know
        throw reason;
      }
      if (told === undefined || (told.provides.length === 0 && told.requires.length === 0)) return;
      if (told.selfId !== "" && told.selfId !== identity.selfId) {
        const message = `at the place of ${identity.runtimeId} a plugin answers that calls itself otherwise`;
        throw new ConnectError(message, Code.FailedPrecondition);
      }
      learnt.set(identity, { provides: told.provides, requires: told.requires });
    },
    close: () => closed.abort(new ConnectError("the host is closing", Code.Canceled)),
  };
}
