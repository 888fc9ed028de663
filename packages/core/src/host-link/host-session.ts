import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { toWireHealth } from "../control/plugin-control-service.ts";
import type { ServiceDeclaration } from "../definition/plugin-definition.ts";
import { PluginLifecycle } from "../gen/connectplugin/v1/lifecycle_pb.ts";
import { ServiceRegistry } from "../gen/connectplugin/v1/registry_pb.ts";
import { RuntimeService } from "../gen/cpg/runtime/v1/runtime_pb.ts";
import type { PluginHealth } from "../health/plugin-health.ts";
import { within } from "../internal/bounded.ts";
import { createAuthenticatedTransport } from "./authenticated-transport.ts";
import type { HostAddress } from "./host-connections.ts";
import type { HostLinkEvent } from "./host-link-options.ts";
import { failureOf } from "./link-error.ts";
import { registrationMetadata } from "./registration-metadata.ts";

/** Part of its life after which an identity that cannot be renewed is replaced. */
const refreshShare = 0.8;
/** However short the life of identities is at a host, it is not asked for the next one in a loop. */
const minRefreshMs = 1_000;

export interface HostSessionOptions {
  readonly address: HostAddress;
  /** Without credentials. */
  readonly transport: Transport;
  readonly runtimeId: string;
  readonly runtimeToken: string;
  /** Whether a managing host gave the identity, not a handshake. */
  readonly given: boolean;
  /** Whether the host announced RuntimeService. */
  readonly renewable: boolean;
  /** What the host announced of itself. */
  readonly hostMetadata: Readonly<Record<string, string>>;
  /** Time to live of the identity. Infinity: the host will give another one in time. */
  readonly ttlMs: number;
  /** What the plugins of this process provide. */
  readonly provides: readonly Required<ServiceDeclaration>[];
  readonly baseUrl: () => string;
  readonly httpVersions: () => string;
  readonly attemptMs: number;
  readonly clock: Clock;
  readonly onEvent: (event: HostLinkEvent) => void;
}

/**
 * One identity at one host, with what was registered under it. Each call it makes is bounded, and ends early when
 * `signal` aborts. Errors are those of the calls; what the host does not serve (`unimplemented`) is no error.
 */
export interface HostSession {
  readonly address: HostAddress;
  /** Without credentials. */
  readonly transport: Transport;
  readonly runtimeId: string;
  readonly runtimeToken: string;
  readonly hostMetadata: Readonly<Record<string, string>>;
  /** Whether the host can tell if it still knows the identity, and prolongs it. */
  readonly renewable: boolean;
  readonly ttlMs: number;
  /** When to ask for another identity, on the monotonic clock. Infinity while this one can be renewed. */
  readonly refreshAtMs: number;
  /** Whether the host refused services, which are to be offered again. */
  readonly incomplete: boolean;
  /** The health that the host knows of; by identity of the object. */
  readonly reported: PluginHealth | undefined;
  /** Registers what is not registered yet. What the host refuses is an event, no error. */
  register(signal: AbortSignal): Promise<void>;
  /** What the host refuses is an event, no error. */
  reportHealth(health: PluginHealth, signal: AbortSignal): Promise<void>;
  /**
   * Proves that both sides are alive and know each other, and prolongs the identity. A host that is not one of ours does
   * not look at the token here; that it was restarted shows when it has no provider of what was registered.
   * @param doubted a call was answered `unauthenticated`.
   * @throws {ConnectError} `unauthenticated` when the host does not know the identity.
   */
  beat(health: PluginHealth, doubted: boolean, signal: AbortSignal): Promise<void>;
  postponeRefresh(ms: number): void;
  /** Takes back all registrations and makes no others. Never fails. */
  withdraw(signal: AbortSignal): Promise<void>;
  /** Takes back all registrations and the identity. Never fails. */
  leave(signal: AbortSignal): Promise<void>;
}

export function createHostSession(options: HostSessionOptions): HostSession {
  const { address, transport, runtimeId, runtimeToken, given, provides, attemptMs, clock, onEvent } = options;
  const authenticated = createAuthenticatedTransport(
    () => ({ transport, runtimeId, runtimeToken }),
    () => {},
  );
  const registry = createClient(ServiceRegistry, authenticated);
  const lifecycle = createClient(PluginLifecycle, authenticated);
  const runtime = createClient(RuntimeService, authenticated);

  const registrations = new Map<ServiceDeclaration, string>();
  let { renewable, ttlMs } = options;
  let incomplete = false;
  let withdrawn = false;
  let reported: PluginHealth | undefined;
  let refreshAtMs = clock.monotonic() + Math.max(ttlMs * refreshShare, minRefreshMs);

  /** Undefined: the host does not serve this. */
  const ask = async <T>(call: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T | undefined> => {
    try {
      return await within(clock, attemptMs, call, () => noAnswer(attemptMs), signal);
    } catch (reason) {
      signal.throwIfAborted();
      const error = ConnectError.from(reason);
      if (failureOf(error) === "unimplemented") return undefined;
      throw error;
    }
  };
  const unregister = async (registrationId: string, signal: AbortSignal): Promise<void> => {
    await ask((attempt) => registry.unregisterService({ registrationId }, { signal: attempt }), signal);
  };

  /** Whether the host serves PluginLifecycle. */
  const report = async (health: PluginHealth, signal: AbortSignal): Promise<boolean> => {
    let served = true;
    try {
      const answer = await ask((attempt) => lifecycle.reportHealth(toWireHealth(health), { signal: attempt }), signal);
      served = answer !== undefined;
    } catch (reason) {
      signal.throwIfAborted();
      const error = ConnectError.from(reason);
      if (failureOf(error) !== "refused") throw error;
      onEvent({ type: "health-refused", error });
    }
    reported = health;
    return served;
  };

  const session: HostSession = {
    address,
    transport,
    runtimeId,
    runtimeToken,
    hostMetadata: options.hostMetadata,
    get renewable() {
      return renewable;
    },
    get ttlMs() {
      return ttlMs;
    },
    get refreshAtMs() {
      return renewable ? Number.POSITIVE_INFINITY : refreshAtMs;
    },
    get incomplete() {
      return incomplete;
    },
    get reported() {
      return reported;
    },

    async register(signal) {
      incomplete = false;
      const metadata = registrationMetadata(options);
      for (const service of provides) {
        if (withdrawn || registrations.has(service)) continue;
        const { type, version, path = "" } = service;
        const request = { serviceType: type, version, endpointPath: path, metadata };
        try {
          const answer = await ask((attempt) => registry.registerService(request, { signal: attempt }), signal);
          if (answer === undefined) return;
          registrations.set(service, answer.registrationId);
        } catch (reason) {
          signal.throwIfAborted();
          const error = ConnectError.from(reason);
          if (failureOf(error) !== "refused") throw error;
          incomplete = true;
          onEvent({ type: "registration-refused", service: type, error });
        }
      }
      // Withdrawn while a registration was under way.
      if (withdrawn) await session.withdraw(signal);
    },

    async reportHealth(health, signal) {
      await report(health, signal);
    },

    async beat(health, doubted, signal) {
      if (renewable) {
        const answer = await ask((attempt) => runtime.renewIdentity({}, { signal: attempt }), signal);
        if (answer !== undefined) {
          const renewedMs = answer.ttl === undefined ? 0 : durationMs(answer.ttl);
          if (renewedMs > 0) ttlMs = renewedMs;
          return;
        }
        renewable = false;
      }
      const served = await report(health, signal);
      const [service] = registrations.keys();
      if (service !== undefined && health.state !== "unhealthy") {
        await recall(service.type, signal);
      } else if (doubted && !(served && given)) {
        // Only a handshake can tell. A managed plugin gives up what its host gave it for nothing less than a proof.
        throw new ConnectError("the host answered a call with unauthenticated", Code.Unauthenticated);
      }
    },

    postponeRefresh(ms) {
      refreshAtMs = clock.monotonic() + ms;
    },

    async withdraw(signal) {
      withdrawn = true;
      for (const [service, id] of registrations) {
        if (signal.aborted) return;
        try {
          await unregister(id, signal);
        } catch {
          if (signal.aborted) return;
          // The host is gone or has forgotten it; either way it will not route here for long.
        }
        registrations.delete(service);
      }
    },

    async leave(signal) {
      await session.withdraw(signal);
      if (!renewable || signal.aborted) return;
      try {
        await ask((attempt) => runtime.releaseIdentity({}, { signal: attempt }), signal);
      } catch {
        // It expires.
      }
    },
  };
  return session;

  async function recall(serviceType: string, signal: AbortSignal): Promise<void> {
    try {
      await ask((attempt) => registry.discoverService({ serviceType }, { signal: attempt }), signal);
    } catch (reason) {
      signal.throwIfAborted();
      const error = ConnectError.from(reason);
      if (error.code === Code.NotFound) {
        throw new ConnectError("the host has forgotten this plugin's services", Code.Unauthenticated);
      }
      if (failureOf(error) !== "refused") throw error;
    }
  }
}

function noAnswer(attemptMs: number): ConnectError {
  return new ConnectError(`the host gave no answer within ${attemptMs} ms`, Code.DeadlineExceeded);
}
