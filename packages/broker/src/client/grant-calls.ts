import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import type { CapabilityGrant, RequestCapabilityRequestSchema } from "@cpg/core/gen/connectplugin/v1/broker_pb";
import { GrantService } from "@cpg/core/gen/cpg/broker/v1/grant_pb";
import type { CapabilityLink } from "./capability-link.ts";
import type { GivenGrant } from "./given-grant.ts";
import type { GrantSource, LiveGrant } from "./grant-source.ts";

/** What a grant for another plugin may be. */
export interface DeriveOptions {
  /** Runtime id of the plugin that may use it. */
  readonly holder: string;
  /** Full names of the methods that it may call, such as "capability.logger.v1.Logger/Log". Default: all that the grant allows. */
  readonly methods?: readonly string[] | undefined;
  /** Time to live, in ms; never longer than that of the grant. Default: what is left of it. */
  readonly ttlMs?: number | undefined;
  /** For the host's audit. Default: nothing. */
  readonly reason?: string | undefined;
}

/** What the host does with a grant that this plugin holds. */
export interface GrantCalls extends Pick<GrantSource, "renew" | "giveBack"> {
  derive(grant: LiveGrant, options: DeriveOptions): Promise<GivenGrant>;
}

/** Time to live of a grant whose host does not say. */
const usualTtlMs = 60 * 60 * 1_000;

export function createGrantCalls(link: Pick<CapabilityLink, "transport">, attemptMs: number): GrantCalls {
  const grants = createClient(GrantService, link.transport);
  return {
    async renew({ grantId }, signal) {
      const { ttl } = await grants.renewGrant({ grantId }, { signal, timeoutMs: attemptMs });
      return ttl === undefined ? undefined : durationMs(ttl);
    },
    async giveBack({ grantId }) {
      await grants.returnGrant({ grantId }, { timeoutMs: attemptMs });
    },
    async derive({ grantId, type }, { holder, methods = [], ttlMs, reason = "" }) {
      const request = { grantId, holderId: holder, methods: [...methods], reason, ...timeToLive(ttlMs) };
      const { grant } = await grants.deriveGrant(request, { timeoutMs: attemptMs });
      if (grant === undefined) throw new ConnectError(`the host derived no grant of ${type}`, Code.Internal);
      return givenGrantFromWire(grant);
    },
  };
}

/** What a request says of the time to live; nothing of the host's own. */
export function timeToLive(
  ttlMs: number | undefined,
): Pick<MessageInitShape<typeof RequestCapabilityRequestSchema>, "ttl"> {
  return ttlMs === undefined ? {} : { ttl: durationFromMs(ttlMs) };
}

export function givenGrantFromWire(grant: CapabilityGrant): GivenGrant {
  const { grantId, endpointUrl, bearerToken, capabilityType: type, version, ttl, accessor, renewable } = grant;
  return {
    grantId,
    endpointUrl,
    bearerToken,
    type,
    version,
    ttlMs: ttl === undefined ? usualTtlMs : durationMs(ttl),
    accessor: accessor === "" ? grantId : accessor,
    renewable,
  };
}
