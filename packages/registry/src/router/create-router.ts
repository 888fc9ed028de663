import { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { HttpRoute } from "@cpg/core";
import { callListener } from "@cpg/core/extension";
import { createCallers } from "./callers.ts";
import { createDirectPlugins } from "./direct/direct-plugins.ts";
import { exchangeOf, exchangeOfStream } from "./exchange/exchange-of.ts";
import { createProviderCalls, type ProviderCalls } from "./provider-calls.ts";
import { createCallRouting } from "./route-call.ts";
import { type RouterOptions, resolveRouterLimits } from "./router-options.ts";
import { SERVICES_PREFIX } from "./service-path.ts";
import { createSuccessions } from "./successions.ts";
import { createUpstreamUses } from "./upstream-uses.ts";

/** Routes calls between plugins through their host. */
export interface Router {
  /** To be added to a server. */
  readonly route: HttpRoute;
  /** Routed calls that have not ended. */
  readonly inFlight: number;
  /** Ends the calls in flight and lets go of every provider. Idempotent. */
  close(): Promise<void>;
  /** The routed calls by provider. */
  readonly calls: Pick<ProviderCalls, "idle" | "cut">;
  /** Calls that name one provider go to the other from now on, if it provides their type. */
  succeed(oldProviderId: string, newProviderId: string): void;
}

/**
 * Serves /services/{type}/{provider}/{rest}, and with "-" as the provider lets the selection choose one for each call.
 *
 * A call needs a runtime identity, and a policy that allows it. Its bytes pass as they are, in both directions and for as
 * long as both sides like; credentials stay here, and the provider learns who calls (X-Plugin-Caller-ID). Cookies, traces
 * and deadlines pass. Errors of the host's own have the form of the caller's protocol. A call ends when its caller's
 * identity does.
 *
 * A call to "-" that reached nobody is tried once more, on another provider if there is one: its connection could not be
 * made, or the provider refused it unseen, and its body so far is at most 64 KiB long. One that a provider refused unseen
 * is tried once more there if it is the only one. Nothing else is ever sent twice.
 * @throws {RangeError} naming the limit.
 */
export function createRouter(options: RouterOptions): Router {
  const { store, forwarder, onError = () => {} } = options;
  const limits = resolveRouterLimits(options.limits);
  const callers = createCallers(limits);
  const report = (error: unknown): void =>
    callListener(
      () => onError(error),
      () => {},
    );
  const directs = createDirectPlugins({ maxMessageBytes: limits.maxDirectMessageBytes, onError: report });
  const providerCalls = createProviderCalls();
  const successions = createSuccessions(store);
  const { heirOf } = successions;
  const routeCall = createCallRouting({ ...options, callers, directs, providerCalls, heirOf, report });

  const uses = createUpstreamUses((upstream) => {
    if (upstream.kind === "direct") directs.retire(upstream);
    else forwarder.retire(upstream);
  });
  const stopFollowing = store.onChange((change) => {
    if (change.type === "registered" || change.type === "updated") uses.add(change.registration.upstream);
    if (change.type === "updated") uses.remove(change.before.upstream);
    if (change.type === "unregistered") uses.remove(change.registration.upstream);
  });

  let closing: Promise<void> | undefined;
  return {
    calls: providerCalls,
    succeed: successions.add,
    route: {
      path: SERVICES_PREFIX,
      prefix: true,
      handle: (request, response) => routeCall(exchangeOf(request, response), () => ({ request, response })),
      handleStream: (stream, headers, rawHeaders) =>
        routeCall(exchangeOfStream(stream, headers, rawHeaders), () => ({
          request: new Http2ServerRequest(stream, headers, {}, rawHeaders),
          response: new Http2ServerResponse(stream),
        })),
    },
    get inFlight() {
      return callers.inFlight;
    },
    close() {
      if (closing === undefined) {
        stopFollowing();
        successions.close();
        closing = Promise.all([directs.close(), forwarder.close()]).then(() => {});
      }
      return closing;
    },
  };
}
