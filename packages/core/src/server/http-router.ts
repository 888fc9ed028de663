import type { NodeHandler, NodeServerResponse, StreamHandler } from "../listener/node-handler.ts";
import { pathOf, pathOfTarget } from "../wire/rpc-handler.ts";
import { createRouteTable, type HttpRoute } from "./http-route.ts";

export interface HttpRouter {
  readonly handle: NodeHandler;
  /** Takes the requests of routes that serve bare streams. Undefined: there is no such route. */
  readonly handleStream: StreamHandler | undefined;
}

/**
 * Serves plain HTTP routes; anything else is 404.
 * @param onError hears what a route throws; the caller gets 500.
 * @throws {TypeError} when two routes serve the same path, or a path is malformed.
 */
export function createHttpRouter(routes: readonly HttpRoute[], onError: (error: unknown) => void): HttpRouter {
  const find = createRouteTable(routes);
  return {
    handle(request, response) {
      const route = find(pathOf(request));
      if (route === undefined) {
        answer(response, 404, "not found\n");
        return;
      }
      const fail = (error: unknown): void => {
        onError(error);
        if (response.headersSent) response.destroy();
        else {
          // Those of another answer, its length for one.
          for (const name of response.getHeaderNames()) response.removeHeader(name);
          answer(response, 500, "internal error\n");
        }
      };
      try {
        if (route.handleStream !== undefined && "stream" in request) {
          // Node's response object would send the trailers, and has none.
          request.stream.removeAllListeners("wantTrailers");
          route.handleStream(request.stream, request.headers, request.rawHeaders);
          return;
        }
        // Programs without types return other things, too.
        const result: unknown = route.handle(request, response);
        if (result instanceof Promise) result.catch(fail);
      } catch (error) {
        fail(error);
      }
    },
    handleStream: routes.some((route) => route.handleStream !== undefined)
      ? (stream, headers, rawHeaders) => {
          const route = find(pathOfTarget(headers[":path"] ?? ""));
          if (route?.handleStream === undefined || headers[":method"] === "CONNECT") return false;
          route.handleStream(stream, headers, rawHeaders);
          return true;
        }
      : undefined,
  };
}

function answer(response: NodeServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.end(text);
}
