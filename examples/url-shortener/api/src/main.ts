// What people use: ShortenerService, and GET /r/{code} as a redirect. HOST_URL: where it registers, and finds the others
// (default http://localhost:8080); PORT, LISTEN_HOST, PUBLIC_URL.
import { serve } from "@cpg/core";
import {
  linkToHost,
  logThroughHost,
  serviceSettings,
  shortenerPlugin,
  storagePlugin,
} from "@cpg/example-url-shortener-contracts";
import { registryClient } from "@cpg/registry";
import { redirectRoute } from "./redirect-route.ts";
import { createShortener, type Shortener } from "./shortener.ts";

/** Calls may come before the link to the others is there; they wait for it. */
const ready = Promise.withResolvers<Shortener>();

const server = await serve({
  plugins: { api: shortenerPlugin },
  impls: {
    api: {
      shorten: async ({ url }) => ({ code: await (await ready.promise).shorten(url) }),
      resolve: async ({ code }) => ({ url: await (await ready.promise).resolve(code) }),
    },
  },
  httpRoutes: [redirectRoute(async (code) => (await ready.promise).resolve(code))],
  link: linkToHost("api", process.env.HOST_URL ? undefined : "http://localhost:8080"),
  ...serviceSettings(process.env),
});
if (server.link === undefined) throw new Error("a plugin with a host has a link");
const registry = registryClient(server.link);
server.draining.addEventListener("abort", () => void registry.close());
ready.resolve(
  createShortener({
    storage: registry.service(storagePlugin),
    logLine: logThroughHost(registry, server.health, server.draining),
  }),
);
console.log(`api ready at ${server.endpoint}`);
