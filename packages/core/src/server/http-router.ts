import type { NodeHandler, NodeServerResponse } from "../listener/node-handler.ts";
import { pathOf } from "../wire/rpc-handler.ts";
import { createRouteTable, type HttpRoute } from "./http-route.ts";

/**
 * Serves plain HTTP routes; anything else is 404.
 * @param onError hears what a route throws; the caller gets 500.
 * @throws {TypeError} when two routes serve the same path, or a path is malformed.
 */
export function createHttpRouter(routes: readonly HttpRoute[], onError: (error: unknown) => void): NodeHandler {
  const find = createRouteTable(routes);
  return (request, response) => {
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
      // Programs without types return other things, too.
      const result: unknown = route.handle(request, response);
      if (result instanceof Promise) result.catch(fail);
    } catch (error) {
      fail(error);
    }
  };
}

function answer(response: NodeServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.end(text);
}
