import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { RuntimeService } from "../gen/cpg/runtime/v1/runtime_pb.ts";
import type { IdentityRegistry } from "./identity-registry.ts";
import { outlivesIdentityKey } from "./require-identity.ts";
import { type RuntimeIdentity, runtimeIdentityKey } from "./runtime-identity.ts";

/** Lets plugins renew their identity and give it back. Checks the caller's credentials itself, too. */
export function createRuntimeService(identities: IdentityRegistry): ServiceImpl<typeof RuntimeService> {
  const callerOf = (context: HandlerContext): RuntimeIdentity =>
    context.values.get(runtimeIdentityKey) ?? identities.authenticate(context.requestHeader);
  return {
    renewIdentity(_request, context) {
      identities.renew(callerOf(context).runtimeId);
      return { ttl: durationFromMs(identities.ttlMs) };
    },
    releaseIdentity(_request, context) {
      const { runtimeId } = callerOf(context);
      context.values.set(outlivesIdentityKey, true);
      identities.revoke(runtimeId, "released");
      return {};
    },
  };
}
