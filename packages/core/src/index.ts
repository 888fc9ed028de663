// For applications and plugins.
export {
  createPluginClient,
  type PluginClient,
  type PluginClientOptions,
  type PluginConnection,
} from "./client/plugin-client.ts";
export { callerIdKey } from "./control/caller.ts";
export type { OwnDeclarations } from "./definition/declared-services.ts";
export {
  definePlugin,
  type MethodTimeouts,
  type PluginDefinition,
  type PluginOptions,
  type ServiceDeclaration,
  type ServiceDependency,
} from "./definition/plugin-definition.ts";
export type { CheckedPluginSet, Implementations, PluginSet } from "./definition/plugin-set.ts";
export type { DiscoverEndpointsOptions, EndpointDiscovery } from "./discovery/endpoint-discovery.ts";
export { staticEndpoints } from "./discovery/static-endpoints.ts";
export { HandshakeError } from "./handshake/handshake-error.ts";
export type { HealthReporter, ServingStatus } from "./health/health-reporter.ts";
export type { PluginHealth } from "./health/plugin-health.ts";
export type { GrantCredentials } from "./host-link/granted-transport.ts";
export type { HostEndpoints } from "./host-link/host-choice.ts";
export type { CloseLinkOptions, HostLink, HostLinkEvent, LinkIdentity, WaitOptions } from "./host-link/host-link.ts";
export { LinkError } from "./host-link/link-error.ts";
export {
  type AdmissionDecision,
  AdmissionError,
  type AdmissionPolicy,
  type AdmissionRequest,
  admitWhen,
  openAdmission,
} from "./identity/admission.ts";
export { allowPeers } from "./identity/allow-peers.ts";
export type { IdentityRegistry, IssuedIdentity, IssueRequest } from "./identity/identity-registry.ts";
export { loopbackPeers } from "./identity/loopback-peers.ts";
export { requireIdentity } from "./identity/require-identity.ts";
export { type DeclaredServices, type RuntimeIdentity, runtimeIdentityKey } from "./identity/runtime-identity.ts";
export type { TlsMaterial, TlsUpdates } from "./internal/tls-updates.ts";
export { assignIdentity, type ManagingHost } from "./launch/assign-identity.ts";
export { LaunchError, type LaunchStage, launchFailed } from "./launch/launch-error.ts";
export {
  type LaunchedPlugin,
  type LaunchPluginOptions,
  launchPlugin,
  type StopOptions,
} from "./launch/launch-plugin.ts";
export type {
  ExitReport,
  LaunchRequest,
  LaunchStrategy,
  LogRecord,
  RunningPlugin,
  StopRequest,
} from "./launch/launch-strategy.ts";
export { createLogBuffer, type LogBuffer } from "./launch/log-buffer.ts";
export { type MemoryStrategyOptions, memoryStrategy } from "./launch/memory-strategy.ts";
export { type NodeStrategyOptions, nodeStrategy } from "./launch/process/node-strategy.ts";
export { type ProcessStrategyOptions, processStrategy } from "./launch/process/process-strategy.ts";
export type { ReattachOptions } from "./launch/process/reattach/reattach-options.ts";
export type { BoundAddress, ListenAddress, ListenerLimits, ServerTlsOptions } from "./listener/listener.ts";
export { createMemoryServer, type MemoryServer, type MemoryServerOptions } from "./memory/memory-server.ts";
export type { MemoryTransport, MemoryTransportOptions } from "./memory/memory-transport.ts";
export type { ServerAddress } from "./server/carrier.ts";
// For packages that extend a host, and for launch strategies.
export type {
  HandshakeFacts,
  HostCapability,
  HostContext,
  HostExtension,
  InstalledExtension,
} from "./server/host-extension.ts";
export type { HttpRoute } from "./server/http-route.ts";
export type { CloseOptions, PluginServer } from "./server/plugin-server.ts";
export type { RequestGate } from "./server/request-gate.ts";
export { serve } from "./server/serve.ts";
export type { ControlOptions, LinkOptions, ServeOptions } from "./server/serve-options.ts";
export { supervisePlugin } from "./supervision/supervise-plugin.ts";
export type { SupervisedPlugin, WhenRunningOptions } from "./supervision/supervised-plugin.ts";
export { type PluginEnd, SupervisionError } from "./supervision/supervision-error.ts";
export type {
  ProbeMissed,
  StateChange,
  SupervisionCause,
  SupervisionEvent,
  SupervisionSnapshot,
} from "./supervision/supervision-event.ts";
export type {
  Introduce,
  ProbeOptions,
  RestartOptions,
  SupervisePluginOptions,
} from "./supervision/supervision-options.ts";
export type { SupervisionStateName } from "./supervision/supervision-state.ts";
export { answerError } from "./wire/answer-error.ts";
export type { ClientTlsOptions } from "./wire/call-transport.ts";
export { type CallTransport, type CallTransportOptions, openCallTransport } from "./wire/call-transport.ts";
export type { DirectCallOptions, DirectEndpoint } from "./wire/direct-endpoint.ts";
export { type Endpoint, formatEndpoint, parseEndpoint } from "./wire/endpoint.ts";
export type { WorkerStrategyOptions } from "./worker/worker-options.ts";
export { workerStrategy } from "./worker/worker-strategy.ts";
