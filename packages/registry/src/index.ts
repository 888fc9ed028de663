export {
  createDependencyGraph,
  type DependencyGraph,
  describeProblem,
  type GraphProblem,
} from "./graph/dependency-graph.ts";
export type { UnmetRequirement } from "./graph/edges.ts";
export type { GraphPlugin, GraphRequirement } from "./graph/graph-plugin.ts";
export type { Impact } from "./graph/impact.ts";
export { RouteError, type RouteFault } from "./router/route-error.ts";
export type { RoutedCallRecord } from "./router/routed-call-record.ts";
export type { RouterLimits } from "./router/router-options.ts";
export type { StoreLimits } from "./state/create-registry-store.ts";
export type { Provider, Registration } from "./state/registration.ts";
export type { RegistryChange, RemovalCause, RevisedChange } from "./state/registry-store.ts";
export type { WatchLimits, WatchOptions } from "./watch/create-watch-hub.ts";
export type { ProviderView, ServiceAvailability, ServiceView } from "./watch/service-view.ts";
export type { ServiceWatch } from "./watch/service-watch.ts";
