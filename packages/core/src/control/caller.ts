import { type ContextKey, type ContextValues, createContextKey } from "@connectrpc/connect";
import { FIELD_LIMITS } from "../protocol/field-rules.ts";
import { HEADER } from "../protocol/constants.ts";
import type { NodeServerRequest } from "../listener/node-handler.ts";
import { peerOf } from "../listener/connection-peer.ts";
import type { ControlGuard } from "./control-guard.ts";

/**
 * Runtime id of the plugin that calls through the host, in the context values of a call. Undefined: the call does not
 * come through the plugin's own host, or nobody's call it is.
 */
export const callerIdKey: ContextKey<string | undefined> = createContextKey<string | undefined>(undefined, {
  description: "runtime id of the calling plugin",
});

/** Longest runtime id: a self_id and a suffix. */
const maxRuntimeIdBytes = 2 * FIELD_LIMITS.nameBytes;

/**
 * Reads who calls, if the request proves to come from the plugin's own host: by the control token in a header of ours,
 * the certificate of the connection, or the private socket. The token is removed from the request, so that no handler
 * sees it.
 */
export function readCaller(guard: ControlGuard, request: NodeServerRequest, values: ContextValues): void {
  const token = takeHeader(request, HEADER.controlToken);
  const callerId = single(request.headers[HEADER.callerId]);
  if (callerId === "" || Buffer.byteLength(callerId) > maxRuntimeIdBytes) return;
  if (guard.isHost({ token, peer: peerOf(request) })) values.set(callerIdKey, callerId);
}

function takeHeader(request: NodeServerRequest, name: string): string {
  const value = single(request.headers[name]);
  if (value !== "") delete request.headers[name];
  return value;
}

/** A header that arrives more than once says nothing. */
function single(value: string | readonly string[] | undefined): string {
  return typeof value === "string" ? value : "";
}
