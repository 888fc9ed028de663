import { ConnectError, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import type { HostContext } from "@cpg/core";

/** The options of services that are for plugins with an identity. */
export interface HeardIdentity {
  readonly interceptors: Interceptor[];
  readonly requestGate: (context: HandlerContext) => void;
}

/**
 * Lets in who the host lets in. Who it refuses is heard of: before the message is read, and also when the identity ends
 * while that is on its way.
 */
export function heardIdentity(
  { requireIdentity, identityGate }: Pick<HostContext, "requireIdentity" | "identityGate">,
  onRefused: (error: ConnectError) => void,
): HeardIdentity {
  const guard: Interceptor = (next) => async (req) => {
    let isIn = false;
    const enter = requireIdentity((request) => {
      isIn = true;
      return next(request);
    });
    try {
      return await enter(req);
    } catch (reason) {
      if (!isIn) onRefused(ConnectError.from(reason));
      throw reason;
    }
  };
  return {
    interceptors: [guard],
    requestGate(context) {
      try {
        identityGate(context);
      } catch (reason) {
        onRefused(ConnectError.from(reason));
        throw reason;
      }
    },
  };
}
