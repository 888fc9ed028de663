import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { HandshakeService } from "@cpg/core/gen/connectplugin/v1/handshake_pb";
import { PluginLifecycle } from "@cpg/core/gen/connectplugin/v1/lifecycle_pb";
import {
  ServiceRegistry,
  ServiceState,
  type WatchServiceEventSchema,
} from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { createQueue, type Queue } from "./queue.ts";

interface Registered {
  readonly id: string;
  readonly runtimeId: string;
  readonly type: string;
  readonly version: string;
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * A host that does what PROTOCOL.md says of connect-plugin-go's: HTTP/1.1 only; no extensions of ours; the registry believes
 * the header, keeps a second registration beside the first, and finds the first provider of a type; the router checks tokens,
 * answers its errors in plain text, and knows no "-".
 */
export async function startGoLikeHost({ port = 0 }: { readonly port?: number | undefined } = {}) {
  const tokens = new Map<string, string>();
  let registered: Registered[] = [];
  const watchers = new Map<Queue<WatchEvent>, string>();
  const routed: string[] = [];
  const expected: (() => void)[] = [];
  let discovers = 0;
  let count = 0;

  const endpointOf = ({ type, runtimeId, version, metadata }: Registered) => ({
    providerId: runtimeId,
    version,
    endpointUrl: `/services/${type}/${runtimeId}`,
    metadata: { ...metadata },
  });
  const eventOf = (serviceType: string): WatchEvent => {
    const first = registered.find(({ type }) => type === serviceType);
    if (first === undefined) return { serviceType, state: ServiceState.UNAVAILABLE };
    return { serviceType, state: ServiceState.AVAILABLE, endpoint: endpointOf(first) };
  };
  const change = (type: string, next: Registered[]): void => {
    registered = next;
    if (next.some((other) => other.type === type)) for (const tell of expected.splice(0)) tell();
    for (const [events, watched] of watchers) if (watched === type) events.put(eventOf(type));
  };

  const rpc = connectNodeAdapter({
    routes({ service }) {
      service(HandshakeService, {
        handshake({ selfId, appProtocolVersion }) {
          const runtimeId = `${selfId}-${++count}`;
          const runtimeToken = `token-of-${runtimeId}`;
          tokens.set(runtimeId, runtimeToken);
          return { coreProtocolVersion: 1, appProtocolVersion, runtimeId, runtimeToken };
        },
      });
      service(PluginLifecycle, { reportHealth: () => ({}) });
      service(ServiceRegistry, {
        registerService({ serviceType: type, version, endpointPath: path, metadata }, { requestHeader }) {
          const id = `reg-${++count}`;
          const runtimeId = requestHeader.get("x-plugin-runtime-id") ?? "";
          change(type, [...registered, { id, runtimeId, type, version, path, metadata }]);
          return { registrationId: id };
        },
        unregisterService({ registrationId }) {
          const gone = registered.find(({ id }) => id === registrationId);
          if (gone === undefined) throw new ConnectError("registration not found", Code.NotFound);
          const left = registered.filter((other) => other !== gone);
          change(gone.type, left);
          return {};
        },
        discoverService({ serviceType, minVersion }) {
          discovers += 1;
          const found = registered.filter(({ type, version }) => type === serviceType && version >= minVersion);
          const [first] = found;
          if (first === undefined) throw new ConnectError("no providers for service", Code.NotFound);
          return { endpoint: endpointOf(first), singleProvider: found.length === 1 };
        },
        async *watchService({ serviceType }, { signal }) {
          const events = createQueue<WatchEvent>();
          watchers.set(events, serviceType);
          const { promise: left, resolve: leave } = Promise.withResolvers<undefined>();
          const end = (): void => leave(undefined);
          signal.addEventListener("abort", end, { once: true });
          try {
            yield eventOf(serviceType);
            for (;;) {
              const event = await Promise.race([events.take(), left]);
              if (event === undefined) return;
              yield event;
            }
          } finally {
            watchers.delete(events);
          }
        },
      });
    },
  });

  const route = (request: IncomingMessage, response: ServerResponse): void => {
    const [, , type = "", providerId = "", ...rest] = (request.url ?? "").split("/");
    const refuse = (status: number, text: string): void => void response.writeHead(status).end(text);
    const runtimeId = String(request.headers["x-plugin-runtime-id"]);
    if (request.headers.authorization !== `Bearer ${tokens.get(runtimeId)}`) {
      refuse(401, "invalid token");
      return;
    }
    const provider = registered.find((other) => other.runtimeId === providerId);
    if (provider === undefined) {
      refuse(404, "provider not found");
      return;
    }
    routed.push(`${type} ${providerId}`);
    const { authorization: _authorization, "x-plugin-runtime-id": _id, ...headers } = request.headers;
    const upstream = httpRequest(
      `${provider.metadata.base_url}${provider.path}${rest.join("/")}`,
      { method: request.method, headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    upstream.once("error", () => refuse(502, "failed to proxy request"));
    request.pipe(upstream);
  };
  const server = createServer((request, response) => {
    if (request.url?.startsWith("/services/")) route(request, response);
    else rpc(request, response);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    port: address.port,
    routed,
    discovers: () => discovers,
    registered: () => registered,
    /** Resolves with the next registration. */
    nextRegistered: () => new Promise<void>((resolve) => void expected.push(resolve)),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type WatchEvent = MessageInitShape<typeof WatchServiceEventSchema>;
