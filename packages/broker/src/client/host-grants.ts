import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { CapabilityBroker, type CapabilityGrant } from "@cpg/core/gen/connectplugin/v1/broker_pb";
import { CapabilityError, capabilityFailed } from "./capability-error.ts";
import type { CapabilityLink } from "./capability-link.ts";
import type { GivenGrant } from "./given-grant.ts";
import { type GrantCalls, givenGrantFromWire, timeToLive } from "./grant-calls.ts";
import { grantPath } from "./grant-path.ts";
import type { GrantSource, LiveGrant } from "./grant-source.ts";

export interface GrantSourceOptions {
  readonly link: CapabilityLink;
  readonly calls: GrantCalls;
  readonly type: string;
  readonly minVersion: string;
  readonly reason: string;
  /** Undefined: the host's. */
  readonly ttlMs: number | undefined;
  readonly attemptMs: number;
}

/** Other hosts serve the broker there. */
const otherBroker = `/broker/${CapabilityBroker.typeName}`;

/** Grants that the host gives to this plugin itself. Waits for a link that is down, for as long as an attempt may take. */
export function hostGrants(options: GrantSourceOptions): GrantSource {
  const { link, calls, type, minVersion, reason, ttlMs, attemptMs } = options;
  const broker = createClient(CapabilityBroker, link.transport);
  const otherwise = createClient(CapabilityBroker, link.transportTo(otherBroker));
  const request = async (from: Client<typeof CapabilityBroker>, signal: AbortSignal): Promise<CapabilityGrant> => {
    const { grant } = await from.requestCapability(
      { capabilityType: type, minVersion, reason, ...timeToLive(ttlMs) },
      { signal, timeoutMs: attemptMs },
    );
    if (grant === undefined) throw new ConnectError(`the host granted ${type}, but gave no grant`, Code.Internal);
    return grant;
  };
  const ask = async (signal: AbortSignal): Promise<CapabilityGrant> => {
    try {
      return await request(broker, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (ConnectError.from(error).code !== Code.Unimplemented) throw error;
      return await request(otherwise, signal);
    }
  };
  return {
    async ask(signal) {
      // What it throws says what the link is doing.
      await link.whenLinked({ timeoutMs: attemptMs, signal });
      return liveGrant(link, givenGrantFromWire(await ask(signal)));
    },
    renew: calls.renew,
    giveBack: calls.giveBack,
  };
}

/** The one grant that another plugin gave to this one: when it has ended, there is no other. */
export function givenGrants({ link, calls, type, attemptMs }: GrantSourceOptions, given: GivenGrant): GrantSource {
  let isTaken = false;
  return {
    async ask(signal) {
      await link.whenLinked({ timeoutMs: attemptMs, signal });
      if (isTaken) {
        const message = `the grant of ${type} that another plugin gave has ended`;
        throw capabilityFailed({ fault: "ended", type, message, code: Code.FailedPrecondition });
      }
      isTaken = true;
      return liveGrant(link, given);
    },
    renew: calls.renew,
    giveBack: calls.giveBack,
  };
}

function liveGrant(link: CapabilityLink, given: GivenGrant): LiveGrant {
  const { grantId, accessor, type, version, ttlMs, renewable, endpointUrl, bearerToken } = given;
  const path = grantPath(endpointUrl);
  try {
    const transport = link.transportWith({ path, bearerToken });
    return { grantId, accessor, type, version, ttlMs, renewable, transport };
  } catch (reason) {
    const cause = new CapabilityError("unreachable", type, "the grant cannot be used", reason);
    throw new ConnectError(`the host's grant of ${type} cannot be used`, Code.Internal, undefined, undefined, cause);
  }
}
