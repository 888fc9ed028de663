import type { DescService } from "@bufbuild/protobuf";
import type { Client, Interceptor } from "@connectrpc/connect";
import { type CallTransportOptions, openCallTransport, parseEndpoint } from "@cpg/core";
import { createServiceClient } from "@cpg/core/extension";
import type { BrokerHost, PlainGrant } from "./broker-host.ts";

export type Wire = Pick<CallTransportOptions, "protocol" | "httpVersion">;

export const WIRES: readonly Wire[] = [
  { protocol: "connect", httpVersion: "1.1" },
  { protocol: "connect", httpVersion: "2" },
  { protocol: "grpc", httpVersion: "2" },
  { protocol: "grpc-web", httpVersion: "1.1" },
  { protocol: "grpc-web", httpVersion: "2" },
];

export interface GrantedClient<Service extends DescService> extends AsyncDisposable {
  readonly client: Client<Service>;
}

/** A client under a grant, with the headers given and nothing else. */
export function openGranted<Service extends DescService>(
  { endpoint }: Pick<BrokerHost, "endpoint">,
  service: Service,
  { path }: Pick<PlainGrant, "path">,
  headers: Readonly<Record<string, string>>,
  wire: Wire = { protocol: "connect", httpVersion: "2" },
): GrantedClient<Service> {
  const present: Interceptor = (next) => (request) => {
    const header = new Headers(request.header);
    for (const [name, value] of Object.entries(headers)) header.set(name, value);
    return next({ ...request, header });
  };
  const calls = openCallTransport({ endpoint: parseEndpoint(`${endpoint}${path}`), interceptors: [present], ...wire });
  return { client: createServiceClient(service, calls.transport), [Symbol.asyncDispose]: () => calls.close() };
}
