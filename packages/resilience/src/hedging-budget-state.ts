export interface HedgeBudgetConfig {
  /** Hedges that each call pays for. Greater than 0, at most 1. */
  readonly maxShare: number;
  /** Most hedges that can be saved up. Whole number from 1. */
  readonly maxBurst: number;
}

/** What calls have paid for and hedges have not used. Made by `emptyHedgeBudget`, replaced by the functions below. */
export interface HedgeBudgetState {
  /** In millionths of a hedge, so that sums are exact. */
  readonly microHedges: number;
}

const oneHedge = 1_000_000;

/** Nothing is saved up yet, so from the very first call there are no more hedges than `maxShare` of the calls. */
export const emptyHedgeBudget: HedgeBudgetState = { microHedges: 0 };

/** The budget after a call began: `maxShare` more, up to `maxBurst`. Pure. */
export function payForCall({ microHedges }: HedgeBudgetState, config: HedgeBudgetConfig): HedgeBudgetState {
  const paid = microHedges + Math.round(config.maxShare * oneHedge);
  return { microHedges: Math.min(config.maxBurst * oneHedge, paid) };
}

/**
 * Asks for a hedge. Pure.
 *
 * | saved up | granted | next state |
 * |---|---|---|
 * | at least one hedge | yes | one hedge fewer |
 * | less | no | same |
 */
export function takeHedge(state: HedgeBudgetState): { readonly granted: boolean; readonly state: HedgeBudgetState } {
  if (state.microHedges < oneHedge) return { granted: false, state };
  return { granted: true, state: { microHedges: state.microHedges - oneHedge } };
}
