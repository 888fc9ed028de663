import type { DescService } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { createServiceClient } from "@cpg/core/extension";
import type { CapabilityBundle, CapabilityDescriptor, CapabilityServices } from "./capability-descriptor.ts";
import type { CapabilityLink } from "./capability-link.ts";
import { type CapabilityOptions, resolveCapabilityOptions } from "./capability-options.ts";
import { createCapabilityTransport } from "./capability-transport.ts";
import type { GivenGrant } from "./given-grant.ts";
import { createGrantCalls, type DeriveOptions } from "./grant-calls.ts";
import { holdGrant } from "./held-grant.ts";
import { givenGrants, hostGrants } from "./host-grants.ts";

/** A plugin's use of one capability of its host. */
export interface HeldCapability<Clients> extends AsyncDisposable {
  /** Typed; the first call asks the host. */
  readonly client: Clients;
  /** "held" and "renewing": calls go at once. "denied": they fail, and the host is not asked, until the pause is over. */
  readonly state: "none" | "asking" | "held" | "renewing" | "denied" | "closed";
  /** Name of the grant for logs; undefined while there is none. */
  readonly accessor: string | undefined;
  /** Version that the host granted; undefined while there is none. */
  readonly version: string | undefined;
  /**
   * A narrower grant for another plugin, which it uses with `capability(link, …, { grant })`. It ends with this one.
   * @throws {ConnectError} what the host refuses; as calls do, when there is no grant to derive from.
   */
  derive(options: DeriveOptions): Promise<GivenGrant>;
  /** Gives the grant back to the host; calls fail from now on, open streams end. Never fails. Idempotent. */
  close(): Promise<void>;
}

export type CapabilityClients<Descriptor> =
  Descriptor extends CapabilityDescriptor<infer Service>
    ? Client<Service>
    : Descriptor extends CapabilityBundle<infer Services>
      ? { readonly [Name in keyof Services]: Client<Services[Name]> }
      : never;

/**
 * A capability of the host, with what `capability` does not show: its state, deriving grants for others, and the end of it.
 * @throws {RangeError} naming the option.
 */
export function holdCapability<Service extends DescService>(
  link: CapabilityLink,
  descriptor: CapabilityDescriptor<Service>,
  options?: CapabilityOptions,
): HeldCapability<Client<Service>>;
export function holdCapability<Services extends CapabilityServices>(
  link: CapabilityLink,
  descriptor: CapabilityBundle<Services>,
  options?: CapabilityOptions,
): HeldCapability<CapabilityClients<CapabilityBundle<Services>>>;
export function holdCapability(
  link: CapabilityLink,
  descriptor: CapabilityDescriptor | CapabilityBundle,
  options: CapabilityOptions = {},
): HeldCapability<unknown> {
  const { type, version } = descriptor;
  const { grant, ...resolved } = resolveCapabilityOptions(version, options);
  const { clock, attemptMs } = resolved;
  const calls = createGrantCalls(link, attemptMs);
  const sourceOptions = { ...resolved, link, calls, type };
  const source = grant === undefined ? hostGrants(sourceOptions) : givenGrants(sourceOptions, grant);
  const held = holdGrant({ ...resolved, type, source, link });
  const transport = createCapabilityTransport(held, clock);
  const client =
    "service" in descriptor
      ? createServiceClient(descriptor.service, transport)
      : Object.fromEntries(
          Object.entries(descriptor.services).map(([name, service]) => [name, createServiceClient(service, transport)]),
        );
  const capability: HeldCapability<unknown> = {
    client,
    get state() {
      return held.state;
    },
    get accessor() {
      return held.current?.accessor;
    },
    get version() {
      return held.current?.version;
    },
    derive: async (order) => await calls.derive(await held.get(undefined, attemptMs), order),
    close: () => held.close(),
    [Symbol.asyncDispose]: () => held.close(),
  };
  return capability;
}
