import type { SelectionName, SelectionOptions, SelectionStrategy } from "./selection.ts";
import { strategies } from "./strategies.ts";

/** The strategy of each service type. */
export type StrategyOf = (type: string) => SelectionName | SelectionStrategy;

/** @throws {TypeError} naming the option. */
export function resolveSelectionOptions(options: SelectionOptions = {}): StrategyOf {
  const { default: otherwise = "round-robin", byType = {} } = options;
  checkStrategy("selection.default", otherwise);
  // A map: a type may be called "constructor".
  const named = new Map(Object.entries(byType));
  for (const [type, strategy] of named) checkStrategy(`selection.byType.${type}`, strategy);
  return (type) => named.get(type) ?? otherwise;
}

function checkStrategy(option: string, strategy: unknown): void {
  if (typeof strategy === "function") return;
  if (typeof strategy === "string" && Object.hasOwn(strategies, strategy)) return;
  const names = Object.keys(strategies).join(", ");
  throw new TypeError(`${option} must be a function or one of ${names}, got ${JSON.stringify(strategy)}`);
}
