import { Code, ConnectError, createRouterTransport, type Interceptor, type Transport } from "@connectrpc/connect";
import { HandshakeService } from "../../src/gen/connectplugin/v1/handshake_pb.ts";
import type { HealthState } from "../../src/gen/connectplugin/v1/health_pb.ts";
import { PluginLifecycle } from "../../src/gen/connectplugin/v1/lifecycle_pb.ts";
import { ServiceRegistry } from "../../src/gen/connectplugin/v1/registry_pb.ts";
import { RuntimeService } from "../../src/gen/cpg/runtime/v1/runtime_pb.ts";
import type { CallTransport } from "../../src/wire/call-transport.ts";

export interface Registration {
  readonly id: string;
  readonly runtimeId: string;
  readonly type: string;
  readonly version: string;
  readonly path: string;
  readonly baseUrl: string | undefined;
}

export interface FakeHostOptions {
  /** Whether it is a host of ours: renews identities and checks tokens. Default true. */
  readonly ours?: boolean;
  /** What it serves beside the handshake. Default both. */
  readonly registry?: boolean;
  readonly lifecycle?: boolean;
  /** Told in the handshake. Default: not told. */
  readonly ttlMs?: number;
}

/** A host in memory that can die, forget and refuse. It writes down every call that reaches it. */
export class FakeHost {
  readonly options: FakeHostOptions;
  /** "Method runtimeId", in order. */
  readonly calls: string[] = [];
  registrations: Registration[] = [];
  readonly reports: { readonly runtimeId: string; readonly state: HealthState; readonly reason: string }[] = [];
  readonly closedTransports: string[] = [];
  down = false;
  /** Runs before each call: may throw, or wait. */
  before: (method: string, signal: AbortSignal) => Promise<void> | void = () => {};
  /** Runs after each call. */
  after: () => void = () => {};
  #tokens = new Map<string, string>();
  readonly #connected = new Set<() => void>();
  #count = 0;
  readonly #transport: Transport;

  constructor(options: FakeHostOptions = {}) {
    this.options = options;
    this.#transport = this.#serve();
  }

  /** Its process ends, and those who are connected over HTTP/2 see it. */
  die(): void {
    this.down = true;
    this.breakConnections();
  }

  breakConnections(): void {
    for (const onLost of [...this.#connected]) onLost();
  }

  /** A new process at the same place: it knows nobody. */
  restart(): void {
    this.down = false;
    this.#tokens = new Map();
    this.registrations = [];
  }

  /** As the launcher does in the managed model. */
  assign(selfId: string): { runtimeId: string; runtimeToken: string } {
    this.#count += 1;
    const runtimeId = `${selfId}-${this.#count}`;
    const runtimeToken = `token-of-${runtimeId}`;
    this.#tokens.set(runtimeId, runtimeToken);
    return { runtimeId, runtimeToken };
  }

  revoke(runtimeId: string): void {
    this.#tokens.delete(runtimeId);
  }

  get identities(): string[] {
    return [...this.#tokens.keys()];
  }

  count(method: string): number {
    return this.calls.filter((call) => call.startsWith(`${method} `)).length;
  }

  readonly connect = (hostUrl: string, httpVersion: "1.1" | "2", onLost = () => {}): CallTransport => ({
    httpVersion,
    transport: {
      unary: (...call) => {
        if (httpVersion === "2") this.#connected.add(onLost);
        return this.#reach().unary(...call);
      },
      stream: (...call) => this.#reach().stream(...call),
    },
    close: async () => {
      this.#connected.delete(onLost);
      this.closedTransports.push(`${httpVersion} ${hostUrl}`);
    },
  });

  #reach(): Transport {
    if (this.down) throw new ConnectError("connection refused", Code.Unavailable);
    return this.#transport;
  }

  #authenticate(header: Headers): string {
    const runtimeId = header.get("x-plugin-runtime-id") ?? "";
    const token = header.get("authorization")?.replace("Bearer ", "");
    if (this.options.ours !== false && (token === undefined || this.#tokens.get(runtimeId) !== token)) {
      throw new ConnectError("unknown identity", Code.Unauthenticated);
    }
    return runtimeId;
  }

  #serve(): Transport {
    const { ours = true, registry = true, lifecycle = true, ttlMs } = this.options;
    const note: Interceptor = (next) => async (request) => {
      const runtimeId = request.header.get("x-plugin-runtime-id") ?? "-";
      this.calls.push(`${request.method.name} ${runtimeId}`);
      await this.before(request.method.name, request.signal);
      if (this.down) throw new ConnectError("connection reset", Code.Unavailable);
      try {
        return await next(request);
      } finally {
        this.after();
      }
    };
    return createRouterTransport(
      ({ service }) => {
        service(HandshakeService, {
          handshake: ({ selfId, appProtocolVersion }) => {
            const identity = selfId === "" ? {} : this.assign(selfId);
            const ttl = ttlMs === undefined || selfId === "" ? {} : { runtimeTokenTtl: toDuration(ttlMs) };
            const serverMetadata: Record<string, string> = ours ? { "cpg.runtime": "1", "cpg.http": "1.1,2" } : {};
            return { coreProtocolVersion: 1, appProtocolVersion, serverMetadata, ...identity, ...ttl };
          },
        });
        if (ours) {
          service(RuntimeService, {
            renewIdentity: (_request, { requestHeader }) => {
              this.#authenticate(requestHeader);
              return ttlMs === undefined ? {} : { ttl: toDuration(ttlMs) };
            },
            releaseIdentity: (_request, { requestHeader }) => {
              this.#tokens.delete(this.#authenticate(requestHeader));
              return {};
            },
          });
        }
        if (lifecycle) {
          service(PluginLifecycle, {
            reportHealth: ({ state, reason }, { requestHeader }) => {
              this.reports.push({ runtimeId: this.#authenticate(requestHeader), state, reason });
              return {};
            },
          });
        }
        if (registry) {
          service(ServiceRegistry, {
            registerService: ({ serviceType, version, endpointPath, metadata }, { requestHeader }) => {
              const runtimeId = this.#authenticate(requestHeader);
              this.#count += 1;
              const id = `r${this.#count}`;
              const baseUrl = metadata.base_url;
              this.registrations.push({ id, runtimeId, type: serviceType, version, path: endpointPath, baseUrl });
              return { registrationId: id };
            },
            unregisterService: ({ registrationId }, { requestHeader }) => {
              this.#authenticate(requestHeader);
              const left = this.registrations.filter(({ id }) => id !== registrationId);
              if (left.length === this.registrations.length)
                throw new ConnectError("no such registration", Code.NotFound);
              this.registrations = left;
              return {};
            },
            discoverService: ({ serviceType }) => {
              if (this.registrations.every(({ type }) => type !== serviceType)) {
                throw new ConnectError("no provider", Code.NotFound);
              }
              return {};
            },
          });
        }
      },
      { router: { interceptors: [note] } },
    );
  }
}

function toDuration(ms: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
}
