import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { nodePeer, type Peer } from "@cpg/resilience";
import { unauthenticated } from "./auth-error.ts";
import type { AuthEventOptions } from "./auth-event.ts";
import type { AuthOutcome } from "./auth-provider.ts";
import { report } from "./authenticate-call.ts";
import { refuse } from "./authenticated.ts";
import { createOpenRoutes } from "./certificate-gate-routes.ts";

type NodeRequest = IncomingMessage | Http2ServerRequest;
type NodeResponse = ServerResponse | Http2ServerResponse;

export interface CertificateGateOptions extends AuthEventOptions {
  /**
   * Routes that may do without a certificate: paths such as "/healthz", or "/public/*" for everything below. A path with
   * percent encoding, dot segments or double slashes is none of them. Default: none.
   */
  readonly openRoutes?: readonly string[] | undefined;
  /** The other end of a request's connection. Default: `nodePeer`. */
  readonly peer?: ((request: NodeRequest) => Peer | undefined) | undefined;
}

/** Says why a request may not pass, if it may not. */
export interface CertificateGate {
  (request: NodeRequest): ConnectError | undefined;
  readonly openRoutes: readonly string[];
}

const name = "certificate-gate";

/**
 * Refuses every request without a verified certificate, save on the open routes; there too one with a certificate that was
 * not verified. Give it to `serverTls` and to `serve` of @cpg/core, or put `behindCertificateGate` before a handler of
 * Node's servers. Upgrades and CONNECT, which Node does not give to that handler, have to ask it too.
 * @throws {TypeError} for a malformed route.
 * @example
 * const gate = certificateGate({ openRoutes: ["/healthz"] });
 * await serve({ plugins, impls, tls: serverTls(source, { gate }), gate });
 */
export function certificateGate(options: CertificateGateOptions = {}): CertificateGate {
  const { openRoutes = [], peer = nodePeer, onEvent } = options;
  const isOpen = createOpenRoutes(openRoutes);
  const gate = (request: NodeRequest): ConnectError | undefined => {
    const from = peer(request);
    if (from?.tls?.authorized) return undefined;
    const target = request.url ?? "";
    const shown = from?.tls?.certificate() !== undefined;
    if (!shown && isOpen(target)) return undefined;
    const outcome: AuthOutcome = shown
      ? { kind: "refused", reason: `the certificate was not verified: ${from.tls?.authorizationError}` }
      : { kind: "absent" };
    const [path = ""] = target.split("?", 1);
    report(onEvent, name, { header: noHeader, peer: from, path }, outcome);
    return unauthenticated();
  };
  return Object.assign(gate, { openRoutes: Object.freeze([...openRoutes]) });
}

const noHeader = new Headers();

/** A handler of Node's servers that only requests reach which the gate lets through. Others get 401. */
export function behindCertificateGate<Request extends NodeRequest, Response extends NodeResponse>(
  gate: CertificateGate,
  handler: (request: Request, response: Response) => void,
): (request: Request, response: Response) => void {
  return (request, response) => {
    const refusal = gate(request);
    if (refusal === undefined) handler(request, response);
    else refuse(response, 401, refusal);
  };
}
