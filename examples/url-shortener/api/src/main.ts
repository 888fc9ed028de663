// What people use: ShortenerService, and GET /r/{code} as a redirect. HOST_URL: where it registers, and finds the others
// (default http://localhost:8080); PORT, LISTEN_HOST, PUBLIC_URL.
import type { ServiceImpl } from "@connectrpc/connect";
import { serve } from "@cpg/core";
import {
  api,
  logThroughHost,
  type ShortenerService,
  serviceSettings,
  storage,
} from "@cpg/example-url-shortener-contracts";
import { registryClient } from "@cpg/registry";
import { redirectRoute } from "./redirect-route.ts";
import { createShortener } from "./shortener.ts";

const { HOST_URL = "http://localhost:8080" } = process.env;
const started = Promise.withResolvers<ServiceImpl<typeof ShortenerService>>();

const server = await serve({
  plugins: { api },
  impls: {
    api: {
      shorten: async (request, context) => (await started.promise).shorten(request, context),
      resolve: async (request, context) => (await started.promise).resolve(request, context),
    },
  },
  httpRoutes: [redirectRoute((code) => resolveCode(code))],
  link: { hostUrl: HOST_URL },
  ...serviceSettings(process.env),
});
if (server.link === undefined) throw new Error("a plugin with a host has a link");
const registry = registryClient(server.link);
server.draining.addEventListener("abort", () => void registry.close());
const stored = registry.service(storage);
const logLine = logThroughHost(registry, server.health, server.draining);
started.resolve(createShortener({ storage: stored, logLine }));
console.log(`api ready at ${server.endpoint}`);

async function resolveCode(code: string): Promise<string> {
  const { url } = await stored.find({ code }, { timeoutMs: 5_000 });
  logLine(`redirected ${code}`);
  return url;
}
