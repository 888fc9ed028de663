import {
  type Client,
  Code,
  ConnectError,
  createClient,
  createContextValues,
  createRouterTransport,
  type Interceptor,
} from "@connectrpc/connect";
import { type AuthContext, getAuth } from "@cpg/auth";
import { HealthService } from "@cpg/core/gen/connectplugin/health/v1/health_pb";
import { type Peer, peerKey } from "@cpg/resilience";

export interface Guarded {
  readonly client: Client<typeof HealthService>;
  /** Whom handlers saw, call by call. */
  readonly seen: (AuthContext | undefined)[];
}

export interface GuardedOptions {
  /** Of the server, the first outermost. */
  readonly server: readonly Interceptor[];
  readonly client?: readonly Interceptor[] | undefined;
  readonly peer?: Peer | undefined;
}

/** A unary and a streaming method behind interceptors, called in memory. */
export function guardedService({ server, client = [], peer }: GuardedOptions): Guarded {
  const seen: (AuthContext | undefined)[] = [];
  const withPeer: Interceptor = (next) => (request) => {
    request.contextValues.set(peerKey, peer);
    return next(request);
  };
  const transport = createRouterTransport(
    (router) =>
      router.service(HealthService, {
        check(_, context) {
          seen.push(getAuth(context));
          return {};
        },
        async *watch(_, context) {
          seen.push(getAuth(context));
          yield {};
        },
      }),
    {
      router: { interceptors: [withPeer, ...server] },
      transport: { interceptors: [...client] },
    },
  );
  return { client: createClient(HealthService, transport), seen };
}

/** Both kinds of call with these headers; the codes with which they end, undefined for success. */
export async function callBoth(
  { client }: Guarded,
  headers: Record<string, string> = {},
): Promise<(Code | undefined)[]> {
  const codeOf = async (call: () => Promise<unknown>) => {
    try {
      await call();
      return undefined;
    } catch (reason) {
      return ConnectError.from(reason).code;
    }
  };
  const contextValues = createContextValues();
  return [
    await codeOf(() => client.check({}, { headers, contextValues })),
    await codeOf(async () => {
      for await (const _ of client.watch({}, { headers, contextValues }));
    }),
  ];
}

export const admitted = [undefined, undefined];
export const refused = [Code.Unauthenticated, Code.Unauthenticated];
export const denied = [Code.PermissionDenied, Code.PermissionDenied];
