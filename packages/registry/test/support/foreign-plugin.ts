import { createServer, type RequestListener } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  type GetPluginInfoResponseSchema,
  PluginControl,
  PluginIdentity,
  type SetRuntimeIdentityRequest,
  type ShutdownRequest,
} from "@cpg/core/gen/connectplugin/v1/plugin_pb";

export interface ForeignPlugin extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

export interface ForeignOptions {
  /** Default "1.1". */
  readonly http?: "1.1" | "2";
  /** Default: a free one. */
  readonly port?: number;
  /** Serves HTTP/1.1 over TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** A plugin that is nothing but an HTTP server. */
export async function startForeign(
  listener: RequestListener,
  { http = "1.1", port = 0, tls }: ForeignOptions = {},
): Promise<ForeignPlugin> {
  const server = createServerOf(listener, http, tls);
  const closers = new Set<() => void>();
  server.on("connection", (socket) => closers.add(() => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const close of closers) close();
      await closed;
    },
  };
}

function createServerOf(listener: RequestListener, http: "1.1" | "2", tls: ForeignOptions["tls"]) {
  if (tls !== undefined) return createHttpsServer(tls, listener);
  return http === "2" ? createHttp2Server(listener as never) : createServer(listener);
}

export interface ForeignServices {
  readonly info?: MessageInitShape<typeof GetPluginInfoResponseSchema> | undefined;
  /** Called with the identity it is given. Default: it does not serve SetRuntimeIdentity. */
  readonly onIdentity?: ((request: SetRuntimeIdentityRequest) => boolean | Promise<boolean>) | undefined;
  readonly onShutdown?: ((request: ShutdownRequest) => void) | undefined;
  /** Default: it does not serve GetHealth. */
  readonly health?: "healthy" | undefined;
}

/** A listener that serves PluginIdentity and PluginControl by hand, as plugins of other implementations do. */
export function foreignServices({ info, onIdentity, onShutdown, health }: ForeignServices): RequestListener {
  const routes = (router: ConnectRouter): void => {
    router.service(PluginIdentity, {
      ...(info && { getPluginInfo: () => info }),
      ...(onIdentity && {
        setRuntimeIdentity: async (request: SetRuntimeIdentityRequest) => ({ acknowledged: await onIdentity(request) }),
      }),
    });
    router.service(PluginControl, {
      ...(health && { getHealth: () => ({ state: 1 }) }),
      ...(onShutdown && {
        shutdown(request: ShutdownRequest) {
          onShutdown(request);
          return { acknowledged: true };
        },
      }),
    });
  };
  return connectNodeAdapter({ routes });
}
