import type { Registry } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ContextValues,
  createConnectRouter,
  createContextValues,
  type Interceptor,
} from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { peerKey } from "@cpg/resilience";
import { peerOf } from "../listener/connection-peer.ts";
import type { NodeHandler, NodeServerRequest, NodeServerResponse } from "../listener/node-handler.ts";
import { checkMessageBytes, DEFAULT_MAX_MESSAGE_BYTES } from "./call-transport-options.ts";
import { bodyOf, endUnreadRequest } from "./end-unread-request.ts";
import { receivedCompression } from "./received-compression.ts";
import { authorityKey, authorityOf } from "./request-authority.ts";
import { requestSignal } from "./request-signal.ts";
import { limitTimeout } from "./timeout-header.ts";

export interface RpcHandlerOptions {
  /** Adds the RPCs. */
  routes(router: ConnectRouter): void;
  /** Serves what is no RPC. */
  readonly fallback: NodeHandler;
  /** Interceptors of every call; the first is outermost. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** Sets context values for one request, before any interceptor runs. What it throws, the handler throws. */
  readonly contextValues?: ((request: NodeServerRequest, values: ContextValues) => void) | undefined;
  /** Bytes of one message, in and out. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Bytes of one message of a response. Default: `maxMessageBytes`. */
  readonly maxResponseBytes?: number | undefined;
  /** Aborts the signal of every handler when the server gives up waiting for them. */
  readonly shutdownSignal?: AbortSignal | undefined;
  /** Types that `google.protobuf.Any` may hold in JSON. */
  readonly registry?: Registry | undefined;
  /** Hears of errors that no caller gets to see, such as a response that could not be written. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/**
 * Serves RPCs over Connect, gRPC and gRPC-Web to any request of Node, of HTTP/1.1 or HTTP/2. This is the server's side
 * of the seam behind which calls travel: above it there are only ConnectRouter and NodeHandler. Responses are
 * compressed only for a caller that asks for it.
 * @throws {TypeError} when two RPCs have the same path. {RangeError} naming the limit.
 */
export function createRpcHandler(options: RpcHandlerOptions): NodeHandler {
  const { fallback, interceptors = [], onError = () => {} } = options;
  const { maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES, maxResponseBytes = maxMessageBytes } = options;
  checkMessageBytes("maxMessageBytes", maxMessageBytes);
  checkMessageBytes("maxResponseBytes", maxResponseBytes);
  const router = createConnectRouter({
    acceptCompression: [...receivedCompression],
    interceptors: [...interceptors],
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxResponseBytes,
    ...(options.registry && { jsonOptions: { registry: options.registry } }),
    ...(options.shutdownSignal && { shutdownSignal: options.shutdownSignal }),
  });
  options.routes(router);
  const handlers = new Map<string, (typeof router.handlers)[number]>();
  for (const handler of router.handlers) {
    if (handlers.has(handler.requestPath)) throw new TypeError(`two services serve ${handler.requestPath}`);
    handlers.set(handler.requestPath, handler);
  }

  const contextValues = (request: NodeServerRequest): ContextValues => {
    const values = createContextValues().set(peerKey, peerOf(request)).set(authorityKey, authorityOf(request));
    options.contextValues?.(request, values);
    return values;
  };

  return (request, response) => {
    const handler = handlers.get(pathOf(request));
    if (handler === undefined) {
      fallback(request, response);
      return;
    }
    const values = contextValues(request);
    let universal: ReturnType<typeof universalRequestFromNodeRequest>;
    try {
      universal = universalRequestFromNodeRequest(request, response, undefined, values);
    } catch (error) {
      onError(error);
      refuse(response);
      return;
    }
    limitTimeout(universal.header);
    endUnreadRequest(request, response);
    handler({ ...universal, body: bodyOf(request), signal: requestSignal(request, response) })
      .then((answer) => universalResponseToNodeResponse(keepingConnection(answer), response))
      .catch((reason: unknown) => {
        if (!isAbandoned(request, ConnectError.from(reason).code)) onError(reason);
        response.destroy();
      });
  };
}

/** Path of a request, without its query. */
export function pathOf({ url = "" }: NodeServerRequest): string {
  return pathOfTarget(url);
}

/** A request target without its query. */
export function pathOfTarget(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

/**
 * Connect closes the connection with its refusal of a stream that needs HTTP/2. A caller that is still sending would lose
 * the answer by that; `endUnreadRequest` sees to the rest of the request.
 */
function keepingConnection(answer: UniversalServerResponse): UniversalServerResponse {
  if (!answer.header?.has("connection")) return answer;
  const header = new Headers(answer.header);
  header.delete("connection");
  return { ...answer, header };
}

/** The caller went away: its own affair, not an error of this server. */
function isAbandoned(request: NodeServerRequest, code: Code): boolean {
  const { destroyed } = "stream" in request ? request.stream : request.socket;
  return destroyed || code === Code.Aborted || code === Code.Canceled;
}

/** Answers a request whose target or Host is malformed. */
function refuse(response: NodeServerResponse): void {
  response.statusCode = 400;
  response.setHeader("content-type", "text/plain");
  response.end("malformed request target or Host\n");
}
