import type { ConnectRouter, ContextValues, HandlerContext, Interceptor } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import type { HealthReporter } from "../health/health-reporter.ts";
import type { IdentityRegistry } from "../identity/identity-registry.ts";
import type { NodeServerRequest } from "../listener/node-handler.ts";
import type { ServerAddress } from "./carrier.ts";
import type { HttpRoute } from "./http-route.ts";

/** Bound on the shutdown step of one extension, which may have to stop programs with a grace of their own. */
export const SHUTDOWN_STEP_MS = 60_000;

/** What a server lends to its extensions. */
export interface HostContext {
  /** The runtime identities of the plugins that shook hands with this server. */
  readonly identities: IdentityRegistry;
  /** Lets only calls with a valid runtime identity through; for RPC routes. */
  readonly requireIdentity: Interceptor;
  /** The `requestGate` beside it: refuses other calls before their message is read. */
  readonly identityGate: (context: HandlerContext) => void;
  readonly health: HealthReporter;
  readonly clock: Clock;
  /** Aborts when the server begins to drain: long streams should end then. */
  readonly draining: AbortSignal;
  /** URL under which plugins reach this server: `publicUrl`, else the endpoint. Known once the server listens. */
  publicUrl(): string;
  /** Where this server listens. Undefined until it does. */
  address(): ServerAddress | undefined;
  /** What its extensions lend, as the handshake advertises it. Known once it listens. */
  capabilities(): readonly HostCapability[];
}

/** What a host lends to its plugins, as the handshake advertises it. */
export interface HostCapability {
  readonly type: string;
  readonly version: string;
  /** Absolute URL. */
  readonly endpoint: string;
}

/** What an extension adds to the answer of a handshake. */
export interface HandshakeFacts {
  readonly serverMetadata?: Readonly<Record<string, string>> | undefined;
  readonly capabilities?: readonly HostCapability[] | undefined;
}

/** What one extension adds to one server. */
export interface InstalledExtension {
  /** Adds RPC routes. */
  routes?(router: ConnectRouter): void;
  /** Plain HTTP routes beside the RPCs. */
  readonly httpRoutes?: readonly HttpRoute[] | undefined;
  /** Sets context values for one request, before any interceptor runs. */
  contextValues?(request: NodeServerRequest, values: ContextValues): void;
  /** Facts for the answer of each handshake. */
  handshakeFacts?(): HandshakeFacts;
  /**
   * Ends what the extension started. Runs after the last call has ended, in reverse order of installation, also when
   * the server fails to start; the server waits for it for 60 s.
   */
  shutdown?(): void | Promise<void>;
}

/**
 * How another package adds itself to a server: RPC routes, HTTP routes, context values, handshake facts and a
 * shutdown step. `install` is called once, before the server listens.
 */
export interface HostExtension {
  /** For error messages. */
  readonly name: string;
  install(host: HostContext): InstalledExtension;
}
