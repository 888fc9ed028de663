import type { NodeServerRequest, NodeServerResponse } from "@cpg/core/extension";
import type { CallGrant } from "./capability-grant-key.ts";

/** What a handler gets beside request and response. */
export interface HttpCapabilityCall extends CallGrant {
  /** Aborts when the grant ends, with the reason; the response is cut then. */
  readonly signal: AbortSignal;
}

/**
 * Answers one request of HTTP/1.1 or HTTP/2 below a grant. `request.url` begins with what follows the grant's id, and the
 * credentials are gone from the headers. What it throws or rejects with answers 500, or cuts the response.
 */
export type HttpCapabilityHandler = (
  request: NodeServerRequest,
  response: NodeServerResponse,
  call: HttpCapabilityCall,
) => void | Promise<void>;
