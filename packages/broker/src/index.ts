// For plugins.
export { capability } from "./client/capability.ts";
export type { CapabilityBundle, CapabilityDescriptor, CapabilityServices } from "./client/capability-descriptor.ts";
export { CapabilityError, type CapabilityFault } from "./client/capability-error.ts";
export type { CapabilityLink } from "./client/capability-link.ts";
export type { CapabilityOptions } from "./client/capability-options.ts";
export type { GivenGrant } from "./client/given-grant.ts";
export type { DeriveOptions } from "./client/grant-calls.ts";
export { type CapabilityClients, type HeldCapability, holdCapability } from "./client/held-capability.ts";
export { LoggerCapability } from "./logger/logger-capability.ts";

// For hosts.

export type { AuditEvent } from "./audit/audit-event.ts";
export type { BrokerLimits, BrokerOptions } from "./broker-options.ts";
export type { Capability } from "./capabilities/capability.ts";
export type { CapabilityFacts } from "./capabilities/capability-facts.ts";
export { type CallGrant, capabilityGrantKey } from "./capabilities/capability-grant-key.ts";
export {
  type CapabilityDefinition,
  type CapabilityImplementations,
  defineCapability,
} from "./capabilities/define-capability.ts";
export { defineHttpCapability } from "./capabilities/define-http-capability.ts";
export type { HttpCapabilityCall, HttpCapabilityHandler } from "./capabilities/http-capability-handler.ts";
export { type Broker, createBroker } from "./create-broker.ts";
export type { Grant, GrantEnd } from "./grants/grant.ts";
export type { GrantLimits } from "./grants/grants.ts";
export type { HostLog } from "./logger/host-log.ts";
export { hostLogger } from "./logger/host-logger.ts";
export type { LoggerOptions } from "./logger/logger-options.ts";
export type { CapabilityName, CapabilityPolicy } from "./policy/capability-policy.ts";
export { type DeclaredPolicyOptions, declaredPolicy } from "./policy/declared-policy.ts";
