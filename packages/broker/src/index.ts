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
