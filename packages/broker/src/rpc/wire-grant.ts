import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
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
    ttl: durationFromMs(ttlMs),
    maxTtl: durationFromMs(maxTtlMs),
    accessor,
    renewable,
  };
}
