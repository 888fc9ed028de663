import type { DescService } from "@bufbuild/protobuf";
import type { Interceptor, ServiceImpl } from "@connectrpc/connect";
import type { Capability, ServedService } from "./capability.ts";
import { type CapabilityFacts, checkCapabilityFacts } from "./capability-facts.ts";

export interface CapabilityDefinition extends CapabilityFacts {
  /** Of the calls of this capability, inside those of the broker. The first is outermost. Default: none. */
  readonly interceptors?: readonly Interceptor[] | undefined;
}

/** One implementation for each service, in the same order. */
export type CapabilityImplementations<Services extends readonly DescService[]> = {
  readonly [Index in keyof Services]: ServiceImpl<Services[Index]>;
};

/**
 * What the host lends: one Connect service or several, with all four kinds of RPC, under a type and a version. Handlers find
 * the grant, and with it the plugin that holds it, in `context.values.get(capabilityGrantKey)`. When the grant ends, their
 * signal aborts and their caller gets `permission_denied`.
 * @throws {TypeError} naming the option, or the method that is no function.
 * @example defineCapability(Logger, { log: ({ message }) => { console.log(message); return {}; } }, LoggerCapability);
 */
export function defineCapability<Service extends DescService>(
  service: Service,
  implementation: ServiceImpl<Service>,
  definition: CapabilityDefinition,
): Capability;
export function defineCapability<const Services extends readonly DescService[]>(
  services: Services,
  implementations: CapabilityImplementations<Services>,
  definition: CapabilityDefinition,
): Capability;
export function defineCapability(
  service: unknown,
  implementation: unknown,
  definition: CapabilityDefinition,
): Capability {
  checkCapabilityFacts(definition);
  const { type, version, requireHolderProof, interceptors = [] } = definition;
  for (const [index, interceptor] of interceptors.entries()) {
    if (typeof interceptor !== "function") throw new TypeError(`interceptors[${index}] must be a function`);
  }
  const services = Array.isArray(service)
    ? pair(service, implementation)
    : [served("service", service, "implementation", implementation)];
  const paths = new Set(services.map((each) => each.service.typeName));
  if (paths.size < services.length) throw new TypeError("services must not name a service twice");
  const serves = { kind: "rpc", services, interceptors: [...interceptors] } as const;
  return Object.freeze({ type, version, requireHolderProof, serves });
}

function pair(services: readonly unknown[], implementations: unknown): ServedService[] {
  if (services.length === 0) throw new TypeError("services must name at least one service");
  if (!Array.isArray(implementations) || implementations.length !== services.length) {
    throw new TypeError(`implementations must be ${services.length}, one for each of services`);
  }
  return services.map((service, index) =>
    served(`services[${index}]`, service, `implementations[${index}]`, implementations[index]),
  );
}

function served(place: string, service: unknown, implPlace: string, implementation: unknown): ServedService {
  if (!isService(service)) throw new TypeError(`${place} must be a service that protoc-gen-es generated`);
  if (!isImplementation(implementation)) {
    throw new TypeError(`${implPlace} must be an implementation of ${service.typeName}, got ${typeof implementation}`);
  }
  for (const { localName } of service.methods) {
    const method = implementation[localName];
    if (method !== undefined && typeof method !== "function") {
      throw new TypeError(`${implPlace}.${localName} must be a function, got ${typeof method}`);
    }
  }
  return { service, implementation };
}

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "service";
}

/** What its methods take and give is for the compiler to check. */
function isImplementation(value: unknown): value is ServedService["implementation"] {
  return typeof value === "object" && value !== null;
}
