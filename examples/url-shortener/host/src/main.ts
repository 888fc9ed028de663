// The host: a platform without plugins of its own. Any plugin of this machine that registers itself can join, in any
// language. PORT (default 8080), LISTEN_HOST (default 127.0.0.1), PUBLIC_URL; ALLOW_PEERS: networks that may join, for
// example "172.16.0.0/12", needed when it listens beyond this machine.
import { allowPeers } from "@cpg/core";
import { serviceSettings } from "@cpg/example-url-shortener-contracts";
import { createPlatform, type ServiceView } from "@cpg/registry";

const { listen, publicUrl } = serviceSettings(process.env);
const { ALLOW_PEERS } = process.env;
/** An id without what makes it unique. */
const short = (id: string): string => id.replace(/-[0-9a-f]+$/, "");

const followed = new Map<string, () => void>();

const { host, registry } = await createPlatform({
  host: {
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
  },
  registry: {
    onCall({ caller, provider, type = "unknown", method = "", code = "", durationMs, error }) {
      const from = caller === undefined ? "nobody" : short(caller);
      const to = provider === undefined ? type : `${short(provider)} ${method}`;
      const what = error === undefined ? code : `failed: ${code}, ${error.rawMessage}`;
      console.log(`call ${from} -> ${to} ${what} ${durationMs.toFixed(1)} ms`);
    },
    onHealth: (event) =>
      console.log(`health ${"providerId" in event ? `${short(event.providerId)} ` : ""}${event.type}`),
    onError: (error) => console.error("registry:", error),
  },
});
for (const { type } of registry.services()) follow(type);
registry.onChange((change) => {
  if (change.type === "registered") follow(change.registration.type);
});
console.log(`host ready at ${host.endpoint}`);

/** Says what becomes of a type as long as somebody provides it: when its state changes, not at each change of each provider. */
function follow(type: string): void {
  if (followed.has(type)) return;
  let last: ServiceView["state"] = "unavailable";
  const stop = registry.follow(type, ({ state, endpoint, providers }) => {
    if (state !== last) console.log(`${type} is ${state}${endpoint?.reason ? `: ${endpoint.reason}` : ""}`);
    last = state;
    if (providers.length > 0) return;
    followed.get(type)?.();
    followed.delete(type);
  });
  followed.set(type, stop);
}
