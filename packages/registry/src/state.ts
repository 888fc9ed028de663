// The registry's state and its watches alone: for hosts that put a registry of their own together, and for benches.
export { createRegistryStore, type RegistryStoreOptions, type StoreLimits } from "./state/create-registry-store.ts";
export type { Provider, Registration } from "./state/registration.ts";
export type {
  ProviderFacts,
  RegistryStore,
  RemovalCause,
  RevisedChange,
  ServiceFacts,
} from "./state/registry-store.ts";
export { createWatchHub, type WatchHub, type WatchHubOptions, type WatchLimits } from "./watch/create-watch-hub.ts";
