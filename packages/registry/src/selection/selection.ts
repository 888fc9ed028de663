import type { Provider, Registration } from "../state/registration.ts";

/** One provider that a call may go to. */
export interface Candidate {
  readonly registration: Registration;
  readonly provider: Provider;
  /** Calls of this host that the provider has not answered yet. */
  readonly inFlight: number;
}

export interface SelectionContext {
  readonly type: string;
  /** Runtime id of the caller; undefined when the host itself asks. */
  readonly callerId: string | undefined;
}

/**
 * Picks one of the candidates, of which there is at least one. All have the same health: degraded ones are offered only
 * when nobody is healthy. Undefined: none of them.
 */
export type SelectionStrategy = (candidates: readonly Candidate[], context: SelectionContext) => Candidate | undefined;

export type SelectionName = "first" | "round-robin" | "random" | "weighted" | "least-loaded";

export interface SelectionOptions {
  /** Default "round-robin". */
  readonly default?: SelectionName | SelectionStrategy | undefined;
  /** By service type. */
  readonly byType?: Readonly<Record<string, SelectionName | SelectionStrategy>> | undefined;
}

export interface SelectRequest {
  readonly type: string;
  /** "" for any. */
  readonly minVersion: string;
  readonly callerId: string | undefined;
  /** Provider ids that were tried already. */
  readonly except?: ReadonlySet<string> | undefined;
}

export interface Selected {
  readonly registration: Registration;
  readonly provider: Provider;
  /** There was no choice. */
  readonly single: boolean;
}

/** Chooses providers, and counts what they are busy with. */
export interface Selector {
  /**
   * @throws {ConnectError} `not_found` when nobody provides the type, or none new enough; `unavailable` when all that do
   * are unhealthy, draining or tried already.
   */
  select(request: SelectRequest): Selected;
  /** Counts a call to a provider; the function returned ends it, once. */
  begin(providerId: string): () => void;
  inFlight(providerId: string): number;
}
