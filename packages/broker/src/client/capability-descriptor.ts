import type { DescService } from "@bufbuild/protobuf";

/**
 * What host and plugins share of a capability: its name, its version and its services, without anything of how the host
 * implements it. Generated code and this are all that a plugin needs.
 * @example export const Secrets = { type: "secrets", version: "1.0.0", service: SecretsService } as const;
 */
export interface CapabilityDescriptor<Service extends DescService = DescService> {
  /** At most 128 bytes: a letter, then letters, digits, "_", "." and "-". */
  readonly type: string;
  /** Semantic version without build metadata. A plugin that says nothing else asks for this or a newer one. */
  readonly version: string;
  readonly service: Service;
}

/** As `CapabilityDescriptor`, of a capability with several services, each under a name of your choice. */
export interface CapabilityBundle<Services extends CapabilityServices = CapabilityServices> {
  readonly type: string;
  readonly version: string;
  readonly services: Services;
}

export type CapabilityServices = Readonly<Record<string, DescService>>;
