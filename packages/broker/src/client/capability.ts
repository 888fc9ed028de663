import type { DescService } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { CapabilityBundle, CapabilityDescriptor, CapabilityServices } from "./capability-descriptor.ts";
import type { CapabilityLink } from "./capability-link.ts";
import type { CapabilityOptions } from "./capability-options.ts";
import { type CapabilityClients, holdCapability } from "./held-capability.ts";

/**
 * A typed client of what the host lends, over the plugin's link to it (`server.link`), under hosts of ours and of others.
 *
 * The first call asks the host for a grant, once for all calls that come meanwhile. The grant is renewed around half of its
 * time to live, and asked for again when it cannot be renewed any more, when the plugin has another identity (its host was
 * restarted) and when the host does not know it any more; a unary call that was refused for that is sent once more. A host
 * that said no is not asked again for a pause (`deniedMs`), and calls fail with its answer (cause: CapabilityError, fault
 * "denied"). Without a link up, calls wait for it, within their own time and that of an attempt.
 *
 * It ends with the link, or with `await using`, or with `close` of `holdCapability`.
 * @throws {RangeError} naming the option.
 * @example const log = capability(link, LoggerCapability); await log.log({ level: "info", message: "hello" });
 */
export function capability<Service extends DescService>(
  link: CapabilityLink,
  descriptor: CapabilityDescriptor<Service>,
  options?: CapabilityOptions,
): Client<Service> & AsyncDisposable;
export function capability<Services extends CapabilityServices>(
  link: CapabilityLink,
  descriptor: CapabilityBundle<Services>,
  options?: CapabilityOptions,
): CapabilityClients<CapabilityBundle<Services>> & AsyncDisposable;
export function capability(
  link: CapabilityLink,
  descriptor: CapabilityDescriptor | CapabilityBundle,
  options?: CapabilityOptions,
): object {
  const held =
    "service" in descriptor ? holdCapability(link, descriptor, options) : holdCapability(link, descriptor, options);
  return Object.assign(held.client, { [Symbol.asyncDispose]: () => held.close() });
}
