import { type ContextKey, createContextKey } from "@connectrpc/connect";
import type { Peer } from "@cpg/resilience";
import { peerOf } from "../listener/connection-peer.ts";
import type { NodeServerRequest } from "../listener/node-handler.ts";
import { HEADER } from "../protocol/constants.ts";
import type { ControlGuard } from "./control-guard.ts";
import { isRuntimeId } from "./runtime-id.ts";

/**
 * Runtime id of the plugin that calls through the host, in the context values of a call. Undefined: the call does not
 * come through the plugin's own host, or nobody's call it is.
 */
export const callerIdKey: ContextKey<string | undefined> = createContextKey<string | undefined>(undefined, {
  description: "runtime id of the calling plugin",
});

/**
 * Runtime id of who calls, if the request proves to come from the plugin's own host: by the control token in a header of
 * ours, the certificate of the connection, or the private socket. The token is removed from the headers, so that no
 * handler, log or error sees it; so is a caller id that nothing proves.
 */
export function readCaller(guard: ControlGuard, request: NodeServerRequest): string | undefined {
  const token = takeHeader(request, HEADER.controlToken);
  const callerId = provedCaller(guard, {
    token,
    callerId: takeHeader(request, HEADER.callerId),
    peer: peerOf(request),
  });
  if (callerId !== undefined) request.headers[HEADER.callerId] = callerId;
  return callerId;
}

/** As `readCaller`, for a call that came without an HTTP request. */
export function takeCaller(guard: ControlGuard, header: Headers, peer: Peer | undefined): string | undefined {
  const token = header.get(HEADER.controlToken) ?? undefined;
  const claimed = header.get(HEADER.callerId) ?? undefined;
  if (token !== undefined) header.delete(HEADER.controlToken);
  const callerId = provedCaller(guard, { token, callerId: claimed, peer });
  if (claimed !== callerId) header.delete(HEADER.callerId);
  return callerId;
}

interface Claim {
  readonly token: string | undefined;
  readonly callerId: string | undefined;
  readonly peer: Peer | undefined;
}

function provedCaller(guard: ControlGuard, { token = "", callerId, peer }: Claim): string | undefined {
  if (callerId === undefined || !isRuntimeId(callerId)) return undefined;
  return guard.isHost({ token, peer }) ? callerId : undefined;
}

/** A header that arrives more than once says nothing: Node joins its values, or gives a list. */
function takeHeader({ headers }: NodeServerRequest, name: string): string | undefined {
  const value = headers[name];
  if (value === undefined) return undefined;
  delete headers[name];
  return typeof value === "string" ? value : undefined;
}
