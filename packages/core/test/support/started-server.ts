import {
  createPluginClient,
  definePlugin,
  type PluginClient,
  type PluginClientOptions,
  type ServeOptions,
  serve,
} from "@cpg/core";
import { createEcho, EchoService } from "./echo-service.ts";

export const echo = definePlugin({ name: "echo", version: "1.0.0", service: EchoService });
export type EchoPlugins = { readonly echo: typeof echo };

/** What a test of calls needs beside the defaults: a free port, no signals, nothing read from the environment. */
export function serveEcho(options: Partial<ServeOptions<EchoPlugins>> = {}) {
  return serve<EchoPlugins>({
    plugins: { echo },
    impls: { echo: createEcho() },
    listen: { port: 0 },
    link: false,
    handleSignals: false,
    environment: {},
    ...options,
  });
}

export function echoClient(
  endpoint: string,
  options: Partial<PluginClientOptions<EchoPlugins>> = {},
): PluginClient<EchoPlugins> {
  return createPluginClient<EchoPlugins>({ endpoint, plugins: { echo }, ...options });
}
