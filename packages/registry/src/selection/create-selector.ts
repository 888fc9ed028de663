import { callListener } from "@cpg/core/extension";
import type { RegistryStore } from "../state/registry-store.ts";
import { createCandidateGroups } from "./candidate-groups.ts";
import { cryptoRandom } from "./crypto-random.ts";
import { createInFlight } from "./in-flight.ts";
import type { Candidate, SelectionContext, SelectionOptions, SelectionStrategy, Selector } from "./selection.ts";
import { nobodySelected, StrategyError } from "./selection-error.ts";
import { resolveSelectionOptions } from "./selection-options.ts";
import { type Chance, strategies } from "./strategies.ts";

export interface SelectorDeps {
  readonly store: RegistryStore;
  readonly options?: SelectionOptions | undefined;
  /** At least 0 and less than 1. Default: from node:crypto. */
  readonly random?: (() => number) | undefined;
  /** Whether somebody is to provide a type, also when nobody does. Default: nobody is. */
  readonly isExpected?: ((type: string) => boolean) | undefined;
  /** Hears a StrategyError when a strategy of the user fails. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/**
 * Chooses among the providers of a registry, for as long as that lives. Degraded ones are offered only when no healthy
 * one can be. For a strategy of the user that throws, or picks what it was not offered, round robin steps in.
 * @throws {TypeError} naming the option.
 */
export function createSelector(deps: SelectorDeps): Selector {
  const { store, options, random = cryptoRandom, isExpected = () => false, onError = () => {} } = deps;
  const strategyOf = resolveSelectionOptions(options);
  const inFlight = createInFlight();
  const groups = createCandidateGroups(store, inFlight);

  const ask = (
    strategy: SelectionStrategy,
    candidates: readonly Candidate[],
    context: SelectionContext,
    chance: Chance,
  ): Candidate | undefined => {
    const fallback = (detail: string, reason?: unknown): Candidate | undefined => {
      callListener(
        () => onError(new StrategyError(context.type, detail, reason)),
        () => {},
      );
      return strategies["round-robin"](candidates, chance);
    };
    let picked: unknown;
    try {
      picked = strategy(candidates, context);
    } catch (reason) {
      return fallback("threw an error", reason);
    }
    if (picked === undefined) return undefined;
    const found = candidates.find((candidate) => candidate === picked);
    if (found !== undefined) return found;
    if (picked instanceof Promise) {
      picked.catch(() => {}); // it is told of below
      return fallback("returned a promise; it has to choose at once");
    }
    return fallback("picked what it was not offered");
  };

  return {
    select({ type, minVersion, callerId, except }) {
      const { registered, newEnough, healthy, degraded, turn } = groups.of(type, minVersion);
      const untried = (all: readonly Candidate[]): readonly Candidate[] =>
        except === undefined || except.size === 0 ? all : all.filter(({ provider }) => !except.has(provider.id));
      let candidates = untried(healthy);
      if (candidates.length === 0) candidates = untried(degraded);
      if (candidates.length === 0) {
        if (registered === 0) throw nobodySelected(isExpected(type) ? "unavailable" : "unknown", { type, minVersion });
        throw nobodySelected(newEnough === 0 ? "too-old" : "unavailable", { type, minVersion });
      }
      const strategy = strategyOf(type);
      const chance = { turn, random };
      const picked =
        typeof strategy === "string"
          ? strategies[strategy](candidates, chance)
          : ask(strategy, candidates, { type, callerId }, chance);
      if (picked === undefined) throw nobodySelected("unavailable", { type, minVersion });
      return { registration: picked.registration, provider: picked.provider, single: newEnough === 1 };
    },
    begin: inFlight.begin,
    inFlight: inFlight.of,
  };
}
