import type { ConnectRouter } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import type { ControlGuard } from "../control/control-guard.ts";
import type { HealthReporter } from "../health/health-reporter.ts";
import type { BoundAddress } from "../listener/listener.ts";
import type { HttpRoute } from "./http-route.ts";
import type { RequestContextHook } from "./request-context.ts";
import type { RequestGate } from "./request-gate.ts";
import type { ServeLimits } from "./serve-options.ts";

/** Where a server is called. */
export type ServerAddress =
  | BoundAddress
  /** By its own process only, without a socket. */
  | { readonly kind: "memory" }
  /** By the thread that launched it, through a port between the two. */
  | { readonly kind: "worker" };

/** How calls get to a server. */
export interface Carrier {
  /** Where others call it, or a name for what has no address. */
  readonly endpoint: string;
  readonly address: ServerAddress;
  /** Tells whoever launched this server that it accepts calls, if somebody did. */
  tellReady(): void;
  /** Accepts no more calls, lets those in flight finish, and cuts what remains after the grace. A shorter grace shortens it. */
  drain(graceMs: number): Promise<unknown>;
}

/** What a server does with the calls that a carrier brings. */
export interface CarriedServer extends ServeLimits {
  /** Adds its RPCs. */
  routes(router: ConnectRouter): void;
  readonly gate: RequestGate | undefined;
  readonly httpRoutes: readonly HttpRoute[];
  /** What sets context values per HTTP request. */
  readonly contextHooks: readonly RequestContextHook[];
  readonly guard: ControlGuard;
  readonly health: HealthReporter;
  /** Aborts when the server gives up waiting for handlers. */
  readonly cut: AbortSignal;
  readonly clock: Clock;
  onError(error: unknown): void;
}

export interface CarrierPlan {
  /** Only this machine can call. */
  readonly localOnly: boolean;
  /** A Unix socket in a directory that only this user can enter, made by the launching host. */
  readonly privateSocket: boolean;
  /** The HTTP versions that the handshake announces. */
  readonly httpVersions: string | undefined;
  open(server: CarriedServer): Promise<Carrier>;
}
