import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { NodeServerRequest, NodeServerResponse } from "../listener/node-handler.ts";

/** A plain HTTP handler beside the RPCs of a server. */
export interface HttpRoute {
  /** Path that it serves, such as "/healthz"; with `prefix`, everything below it, such as "/services/". */
  readonly path: string;
  /** Serve every path that starts with `path`, which then has to end in "/". Default false. */
  readonly prefix?: boolean | undefined;
  /**
   * Answers one request, of HTTP/1.1 or HTTP/2. An error thrown, or a promise rejected, answers 500 if nothing was
   * sent yet and cuts the response otherwise.
   */
  handle(request: NodeServerRequest, response: NodeServerResponse): void | Promise<void>;
  /**
   * Answers a request of HTTP/2 on its bare stream, in place of `handle`: for routes to which Node's request and response
   * objects cost too much. Headers are as received: a caller header that nobody vouches for is still among them.
   * `rawHeaders` has names and values in turn, pseudo headers first. A throw answers 500, or cuts the response.
   */
  handleStream?(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]): void;
}

/**
 * Finds the route for a path: an exact one first, then the longest prefix.
 * @throws {TypeError} when two routes serve the same path, or a path is malformed.
 */
export function createRouteTable(routes: readonly HttpRoute[]): (path: string) => HttpRoute | undefined {
  const exact = new Map<string, HttpRoute>();
  const prefixes: HttpRoute[] = [];
  for (const route of routes) {
    if (!route.path.startsWith("/")) throw new TypeError(`route path must start with /, got "${route.path}"`);
    if (route.prefix) {
      if (!route.path.endsWith("/")) throw new TypeError(`route prefix must end with /, got "${route.path}"`);
      if (prefixes.some(({ path }) => path === route.path)) throw new TypeError(`two routes serve ${route.path}`);
      prefixes.push(route);
    } else {
      if (exact.has(route.path)) throw new TypeError(`two routes serve ${route.path}`);
      exact.set(route.path, route);
    }
  }
  prefixes.sort((a, b) => b.path.length - a.path.length);
  return (path) => exact.get(path) ?? prefixes.find((route) => path.startsWith(route.path));
}
