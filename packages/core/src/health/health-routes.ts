import type { NodeServerRequest, NodeServerResponse } from "../listener/node-handler.ts";
import type { HttpRoute } from "../server/http-route.ts";
import type { HealthReporter } from "./health-reporter.ts";

/** `/healthz`: 200 while the process lives. `/readyz` and `/health`: 200 while the server is serving, else 503. */
export function createHealthRoutes(health: HealthReporter): readonly HttpRoute[] {
  const ready = () => health.status("") === "serving";
  return [
    { path: "/healthz", handle: (request, response) => answer(request, response, true) },
    { path: "/readyz", handle: (request, response) => answer(request, response, ready()) },
    { path: "/health", handle: (request, response) => answer(request, response, ready()) },
  ];
}

function answer(request: NodeServerRequest, response: NodeServerResponse, good: boolean): void {
  const { method } = request;
  response.setHeader("cache-control", "no-store");
  if (method !== "GET" && method !== "HEAD") {
    response.statusCode = 405;
    response.setHeader("allow", "GET, HEAD");
    response.end();
    return;
  }
  response.statusCode = good ? 200 : 503;
  response.setHeader("content-type", "text/plain; charset=utf-8");
  if (method === "HEAD") response.end();
  else response.end(good ? "ok\n" : "not serving\n");
}
