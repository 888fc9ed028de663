import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import { nodePeer, type Peer } from "@cpg/resilience";
import { setRequestAuth } from "./auth-context.ts";
import { cannotTell, unauthenticated } from "./auth-error.ts";
import type { AuthEventOptions } from "./auth-event.ts";
import type { AuthOutcome, AuthProvider, AuthRequest, ServerAuthOptions } from "./auth-provider.ts";
import { report } from "./authenticate-call.ts";

type NodeRequest = IncomingMessage | Http2ServerRequest;
type NodeResponse = ServerResponse | Http2ServerResponse;

export interface AuthenticatedOptions extends ServerAuthOptions, AuthEventOptions {
  /** The other end of a request's connection. Default: `nodePeer`. */
  readonly peer?: ((request: NodeRequest) => Peer | undefined) | undefined;
}

/**
 * A handler of plain Node requests that only those reach whose credential holds; `getAuth(request)` tells whose. Others get
 * 401, or 503 when nobody can tell now, and a JSON body with `code` and `message`. Its events go to the `onEvent` given here;
 * that of the provider hears of calls only.
 */
export function authenticated<Request extends NodeRequest, Response extends NodeResponse>(
  provider: AuthProvider,
  handler: (request: Request, response: Response) => void,
  options: AuthenticatedOptions = {},
): (request: Request, response: Response) => void {
  const { optional = false, onEvent, peer = nodePeer } = options;
  return (request, response) => {
    const asked = authRequestOf(request, peer(request));
    const admit = (outcome: AuthOutcome): void => {
      report(onEvent, provider.name, asked, outcome);
      if (outcome.kind === "unavailable") refuse(response, 503, cannotTell());
      else if (outcome.kind === "proved") {
        setRequestAuth(request, outcome.auth);
        handler(request, response);
      } else if (outcome.kind === "absent" && optional) handler(request, response);
      else refuse(response, 401, unauthenticated());
    };
    const outcome = provider.authenticate(asked);
    if (outcome instanceof Promise) {
      outcome.then(admit).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
    } else {
      admit(outcome);
    }
  };
}

function authRequestOf({ headers, url = "" }: NodeRequest, peer: Peer | undefined): AuthRequest {
  const header = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(":")) continue;
    for (const one of [value ?? []].flat()) header.append(name, one);
  }
  const query = url.indexOf("?");
  return { header, peer, path: query < 0 ? url : url.slice(0, query) };
}

export function refuse(response: NodeResponse, status: 401 | 503, error: ConnectError): void {
  const body = { code: error.code === Code.Unavailable ? "unavailable" : "unauthenticated", message: error.rawMessage };
  response.statusCode = status;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(body));
}
