// The host: a registry and a router, nothing else. Any plugin of this machine that registers itself can join, in any
// language. PORT (default 8080), LISTEN_HOST (default 127.0.0.1), PUBLIC_URL; ALLOW_PEERS: networks that may join, for
// example "172.16.0.0/12", needed when it listens beyond this machine.
import { allowPeers, serve } from "@cpg/core";
import { serviceSettings } from "@cpg/example-url-shortener-contracts";
import { createRegistry, type ServiceView } from "@cpg/registry";

const { listen, publicUrl } = serviceSettings(process.env);
const { ALLOW_PEERS } = process.env;
const short = (id: string | undefined): string => id?.replace(/-[0-9a-f]+$/, "") ?? "nobody";

/** Says what becomes of a type when its state changes; not each change of each provider. */
const states = new Map<string, ServiceView["state"]>();
const follow = (type: string): void => {
  if (states.has(type)) return;
  states.set(type, "unavailable");
  registry.follow(type, ({ state, endpoint }) => {
    if (states.get(type) === state) return;
    states.set(type, state);
    console.log(`${type} is ${state}${endpoint?.reason ? `: ${endpoint.reason}` : ""}`);
  });
};

const registry = createRegistry({
  onCall: ({ caller, provider, method, code, durationMs }) =>
    console.log(
      `call ${short(caller)} -> ${short(provider)} ${method ?? ""} ${code ?? "?"} ${durationMs.toFixed(1)} ms`,
    ),
  onHealth: (event) => console.log(`health ${"providerId" in event ? short(event.providerId) : ""} ${event.type}`),
  onChange(change) {
    if (change.type === "registered") follow(change.registration.type);
  },
});

const host = await serve({
  plugins: {},
  impls: {},
  extensions: [registry],
  listen,
  publicUrl,
  ...(ALLOW_PEERS && { admission: allowPeers(ALLOW_PEERS.split(",")) }),
  httpRoutes: [
    {
      path: "/graph",
      handle(_request, response) {
        response.setHeader("content-type", "text/plain; charset=utf-8");
        response.end(registry.graph().toMermaid());
      },
    },
  ],
});
console.log(`host ready at ${host.endpoint}`);
