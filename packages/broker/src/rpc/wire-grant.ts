import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";
import type { CapabilityGrantSchema } from "@cpg/core/gen/connectplugin/v1/broker_pb";
import type { IssuedGrant } from "../grants/grants.ts";

/** What a plugin is told of a grant that is new. @param baseUrl of the host, without a "/" at its end. */
export function wireGrant(
  { grant, token }: IssuedGrant,
  baseUrl: string,
): MessageInitShape<typeof CapabilityGrantSchema> {
  const { id, type, version, accessor, ttlMs, maxTtlMs, renewable } = grant;
  return {
    grantId: id,
    endpointUrl: `${baseUrl}/capabilities/${type}/${id}`,
    bearerToken: token,
    capabilityType: type,
    version,
    ttl: wireTtl(ttlMs),
    maxTtl: wireTtl(maxTtlMs),
    accessor,
    renewable,
  };
}

/** Clocks tell parts of milliseconds, and the wire has none: a grant never lives shorter than its holder is told. */
export function wireTtl(ms: number): Duration {
  return durationFromMs(Math.floor(ms));
}
