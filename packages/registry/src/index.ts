export type { AttachOptions } from "./attach/attach-options.ts";
export type { AttachTarget, LaunchedTarget } from "./attach/attach-target.ts";
export type { AttachedPlugin, ShutdownOptions } from "./attach/attached-plugin.ts";
export type { PluginDescription } from "./attach/plugin-description.ts";
export type { KeptRegistration } from "./client/kept-registration.ts";
export {
  type DiscoveredService,
  type DiscoverOptions,
  type RegisterOptions,
  type RegistryClient,
  type RegistryClientOptions,
  registryClient,
  type ServiceOptions,
} from "./client/registry-client.ts";
export type { RegistryLink } from "./client/registry-link.ts";
export type { ServiceViews } from "./client/resumed-watch.ts";
export type { ServiceOffer } from "./client/service-offer.ts";
export { createRegistry, type ProviderSnapshot, type Registry } from "./create-registry.ts";
export { dnsEndpoints } from "./discovery/dns-endpoints.ts";
export type { DnsAddressOptions, DnsEndpointsOptions, DnsSrvOptions } from "./discovery/dns-options.ts";
export { type FileEndpointsOptions, fileEndpoints } from "./discovery/file-endpoints.ts";
export {
  createDependencyGraph,
  type DependencyGraph,
  describeProblem,
  type GraphProblem,
} from "./graph/dependency-graph.ts";
export type { UnmetRequirement } from "./graph/edges.ts";
export type { GraphPlugin, GraphRequirement } from "./graph/graph-plugin.ts";
export type { Impact } from "./graph/impact.ts";
export type { HealthEvent } from "./health/health-event.ts";
export type { EjectionOptions, HealthOptions, MassSilenceOptions } from "./health/health-options.ts";
export type { HealthLevel, ProviderHealth } from "./health/provider-health.ts";
export type { AdminOptions } from "./platform/admin/admin-options.ts";
export type { BootReport, PluginBoot } from "./platform/boot-report.ts";
export type {
  FileAttachOptions,
  FileNodeOptions,
  PlatformFile,
  PlatformFilePlugin,
} from "./platform/config/platform-file.ts";
export {
  type PlatformConfig,
  type ReadConfigOptions,
  readPlatformConfig,
} from "./platform/config/read-platform-config.ts";
export { createPlatform } from "./platform/create-platform.ts";
export { type BuildContext, type Development, type DevelopOptions, develop } from "./platform/develop/develop.ts";
export type { DevelopEvent, DevelopNews } from "./platform/develop/develop-event.ts";
export type {
  AddOptions,
  ClosePlatformOptions,
  Platform,
  PlatformCore,
  RemoveOptions,
  ReplaceOptions,
  ReplaceReport,
  RestartPluginOptions,
  WatchStateOptions,
} from "./platform/platform.ts";
export { PlatformError, type ReplaceStage } from "./platform/platform-error.ts";
export type { PlatformEvent, PluginStateEvent } from "./platform/platform-event.ts";
export type { PlatformHostOptions, PlatformOptions } from "./platform/platform-options.ts";
export type {
  EndpointSpec,
  ForeignFacts,
  ForeignSpec,
  LaunchedSpec,
  PlatformPlugin,
  PlatformPluginFacts,
  PlatformPluginKind,
  ProvidedService,
} from "./platform/platform-plugin.ts";
export type { PluginEffect, PluginImpact } from "./platform/plugin-impact.ts";
export type { PluginOperation, PluginSnapshot, RunSnapshot } from "./platform/plugin-snapshot.ts";
export type { PluginStateName, StartStage } from "./platform/plugin-state.ts";
export type {
  ErrorFacts,
  GraphEdge,
  GuestPluginState,
  PlatformPluginState,
  PlatformState,
  RunState,
  ServingFacts,
} from "./platform/state-view/platform-state.ts";
export { AccessDeniedError } from "./policy/access-denied-error.ts";
export type { AccessRequest } from "./policy/access-policy.ts";
export type { AccessAction, AccessRule, AccessRuleFunction } from "./policy/access-rule.ts";
export type { AccessDecision, AccessOptions } from "./policy/create-access-policy.ts";
export type { UpstreamDecision, UpstreamOptions } from "./policy/create-upstream-policy.ts";
export type { AccessReason } from "./policy/decide-access.ts";
export type { UpstreamReason } from "./policy/decide-upstream.ts";
export type { LookUp } from "./policy/name-lookups.ts";
export { UpstreamDeniedError } from "./policy/upstream-denied-error.ts";
export type { UpstreamCandidate, UpstreamRule, UpstreamRuleFunction } from "./policy/upstream-rule.ts";
export type { RegistryLimits, RegistryOptions } from "./registry-options.ts";
export type { ForwarderOptions } from "./router/forward/forwarder-options.ts";
export { RouteError, type RouteFault } from "./router/route-error.ts";
export type { RoutedCallRecord } from "./router/routed-call-record.ts";
export type { RouterLimits } from "./router/router-options.ts";
export type { ForwarderLimits } from "./router/upstream-pool/upstream-limits.ts";
export type {
  Candidate,
  SelectionContext,
  SelectionName,
  SelectionOptions,
  SelectionStrategy,
} from "./selection/selection.ts";
export { SelectionError, type SelectionFault, StrategyError } from "./selection/selection-error.ts";
export type { StoreLimits } from "./state/create-registry-store.ts";
export type { Provider, Registration } from "./state/registration.ts";
export type { RegistryChange, RemovalCause, RevisedChange } from "./state/registry-store.ts";
export type { WatchLimits, WatchOptions } from "./watch/create-watch-hub.ts";
export type { ProviderView, ServiceAvailability, ServiceView } from "./watch/service-view.ts";
export type { ServiceWatch } from "./watch/service-watch.ts";
