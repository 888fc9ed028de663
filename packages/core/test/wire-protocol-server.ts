import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { FakeClock } from "@cpg/resilience/testing";
import { definePlugin } from "../src/definition/plugin-definition.ts";
import { Logger } from "../src/gen/capability/logger/v1/logger_pb.ts";
import { HandshakeService } from "../src/gen/connectplugin/v1/handshake_pb.ts";
import { RuntimeService } from "../src/gen/cpg/runtime/v1/runtime_pb.ts";
import { createHandshakeService, type HandshakeServiceOptions } from "../src/handshake/handshake-service.ts";
import { createIdentityRegistry, type IdentityRegistry } from "../src/identity/identity-registry.ts";
import { loopbackPeers } from "../src/identity/loopback-peers.ts";
import { identityGate, requireIdentity } from "../src/identity/require-identity.ts";
import { createRuntimeService } from "../src/identity/runtime-service.ts";
import { type ListenAddress, openListener } from "../src/listener/listener.ts";
import { createRpcHandler } from "../src/wire/rpc-handler.ts";

export const logger = definePlugin({ name: "logger", version: "1.0.0", service: Logger });

export interface WireServer extends AsyncDisposable {
  /** 0 on a Unix socket. */
  readonly port: number;
  readonly clock: FakeClock;
  readonly identities: IdentityRegistry;
}

/** A host with nothing but handshake and runtime service, whose time stands still. */
export async function startWireServer(
  options: Partial<HandshakeServiceOptions> = {},
  address: ListenAddress = { port: 0 },
): Promise<WireServer> {
  const clock = new FakeClock();
  const { identities = createIdentityRegistry({ clock, ttlMs: 60_000 }) } = options;
  const handler = createRpcHandler({
    routes({ service }) {
      service(
        HandshakeService,
        createHandshakeService({
          plugins: { logger },
          admission: loopbackPeers(),
          identities,
          clock,
          rate: { burst: 1e6, burstPerName: 1e6 },
          ...options,
        }),
      );
      service(RuntimeService, createRuntimeService(identities), {
        interceptors: [requireIdentity(identities)],
        requestGate: identityGate(identities),
      });
    },
    fallback(_request, response) {
      response.statusCode = 404;
      response.end();
    },
  });
  const listener = await openListener({ address, handler });
  return {
    port: "port" in address ? Number(new URL(listener.endpoint).port) : 0,
    clock,
    identities,
    async [Symbol.asyncDispose]() {
      identities.close();
      await listener.close();
    },
  };
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** The parsed body; undefined when it is no JSON. */
  readonly body: { readonly [field: string]: unknown; readonly code?: string; readonly message?: string } | undefined;
}

const agent = new Agent({ keepAlive: true, maxSockets: 8 });

/** One plain HTTP request to a port or a Unix socket, as a program without any RPC library would send it. */
export function post(
  server: number | string,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<WireAnswer> {
  const sent = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  const target = typeof server === "string" ? { socketPath: server } : { agent, host: "127.0.0.1", port: server };
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        ...target,
        path,
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parse(text) });
        });
      },
    );
    request.on("error", reject);
    request.end(sent);
  });
}

function parse(text: string): WireAnswer["body"] {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const handshakePath = "/connectplugin.v1.HandshakeService/Handshake";
export const renewPath = "/cpg.runtime.v1.RuntimeService/RenewIdentity";
export const releasePath = "/cpg.runtime.v1.RuntimeService/ReleaseIdentity";

/** The least that a handshake has to say, as JSON. */
export const greeting = {
  coreProtocolVersion: 1,
  appProtocolVersion: 1,
  magicCookieKey: "CONNECT_PLUGIN",
  magicCookieValue: "d3f40b3c2e1a5f8b9c4d7e6a1b2c3d4e",
};
