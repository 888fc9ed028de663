import { Code, ConnectError, type ContextValues } from "@connectrpc/connect";
import type { NodeServerRequest, NodeServerResponse } from "@connectrpc/connect-node";
import { systemClock } from "@cpg/resilience";
import { createControlGuard } from "../control/control-guard.ts";
import { checkImplementations, checkPluginSet, type PluginSet } from "../definition/plugin-set.ts";
import { createHealthReporter, type HealthReporter } from "../health/health-reporter.ts";
import { createHealthRoutes } from "../health/health-routes.ts";
import type { HostLink } from "../host-link/host-link.ts";
import { createIdentityRegistry, type IdentityRegistry } from "../identity/identity-registry.ts";
import { requireIdentity } from "../identity/require-identity.ts";
import { formatReadyLine } from "../launch/process/ready-line.ts";
import { type BoundAddress, type Listener, openListener } from "../listener/listener.ts";
import { warnOfCleartextListener } from "../protocol/cleartext-warning.ts";
import { DEFAULT_GRACE_MS } from "../protocol/constants.ts";
import { createRpcHandler } from "../wire/rpc-handler.ts";
import { parseLaunchEnvironment } from "./environment-schema.ts";
import type { HostContext, InstalledExtension } from "./host-extension.ts";
import { createRouteTable } from "./http-route.ts";
import { chooseListenAddress, isLocalOnly } from "./listen-choice.ts";
import type { ServeOptions } from "./serve-options.ts";
import { createServerLink } from "./server-link.ts";
import { registerRoutes } from "./server-routes.ts";
import { onShutdownSignal } from "./shutdown-signals.ts";

export interface CloseOptions {
  /** How long calls in flight may take to finish, in ms. Default: `graceMs` of the server. */
  readonly graceMs?: number | undefined;
  /** For whoever asks why. */
  readonly reason?: string | undefined;
}

export interface PluginServer extends AsyncDisposable {
  /** Where the server listens, "http://127.0.0.1:8080", "https://…" or "unix:/path": what a client takes. */
  readonly endpoint: string;
  readonly address: BoundAddress;
  readonly health: HealthReporter;
  /** The runtime identities this server issued; none if it issues none. */
  readonly identities: IdentityRegistry | undefined;
  /** The link to this plugin's host, unless it has none. */
  readonly link: HostLink | undefined;
  /** Aborts when the server begins to close. Streams that would not end by themselves should end then. */
  readonly draining: AbortSignal;
  /** Resolves when the server has closed, whoever closed it: its owner, its host or a signal. Never rejects. */
  readonly closed: Promise<void>;
  /**
   * Closes gracefully: reports itself not ready, tells its host, accepts no more connections, lets calls in flight
   * finish within the grace, cuts what remains, and runs the shutdown steps of the extensions in reverse order. A later
   * call shares the first's result; a shorter grace shortens it.
   * @throws {AggregateError} of what the shutdown steps threw, after all of them ran.
   */
  close(options?: CloseOptions): Promise<void>;
}

/** What remains of a cut call is sent within this time. */
const flushMs = 1_000;

/**
 * Serves plugins, and the host APIs that extensions add, on one port: HTTP/1.1 and HTTP/2; Connect, gRPC and gRPC-Web.
 * Resolves when the server accepts calls.
 * @throws {TypeError} {RangeError} for bad options, naming the option. {ConnectError} `failed_precondition` for a host
 * that listens beyond this machine without an admission policy. {Error} of Node when it cannot listen.
 * @example
 * await using server = await serve({ plugins: { kv }, impls: { kv: new MyKVStore() } });
 */
export async function serve<const Plugins extends PluginSet>(options: ServeOptions<Plugins>): Promise<PluginServer> {
  const { plugins, impls, extensions = [], interceptors = [], clock = systemClock, onError = () => {} } = options;
  const { graceMs = DEFAULT_GRACE_MS, handleSignals = true } = options;
  checkPluginSet(plugins);
  checkImplementations(plugins, impls);
  checkGrace("graceMs", graceMs);
  const environment = parseLaunchEnvironment(options.environment ?? process.env);
  const address = chooseListenAddress(options.listen, environment);
  const localOnly = isLocalOnly(address);
  if (!localOnly && options.admission === undefined && extensions.length > 0) {
    throw new ConnectError(
      `a host that listens on ${"host" in address ? address.host : "every address"} needs an admission policy: ` +
        "set admission to allowPeers([...]), admitWhen(...) or, to let anybody in, openAdmission()",
      Code.FailedPrecondition,
    );
  }
  if (!localOnly && options.tls === undefined && "port" in address) warnOfCleartextListener(address.host ?? "");

  const draining = new AbortController();
  const cut = new AbortController();
  const closed = Promise.withResolvers<void>();
  const issuesIdentities = localOnly || options.admission !== undefined;
  const identities = createIdentityRegistry({
    ttlMs: options.identityTtlMs,
    maxIdentities: options.maxIdentities,
    clock,
  });
  const health = createHealthReporter({ plugins: Object.keys(plugins) });
  const guard = createControlGuard({
    token: options.control?.token ?? environment.controlToken,
    hostCertificate: options.control?.hostCertificate,
    allowAnyHost: options.control?.allowAnyHost,
    privateSocket: options.listen === undefined && environment.socketPath !== undefined,
  });

  let listener: Listener | undefined;
  const publicUrl = () => options.publicUrl ?? listener?.endpoint ?? "";
  const link = createServerLink({ options, environment, plugins, health, clock, publicUrl });
  const host: HostContext = {
    identities,
    requireIdentity: requireIdentity(identities),
    health,
    clock,
    draining: draining.signal,
    publicUrl,
  };
  const installed: InstalledExtension[] = [];
  const cleanUp = async (): Promise<void> => {
    const steps = [
      ...installed.map((extension) => () => extension.shutdown?.()),
      () => link?.close(),
      () => identities.close(),
    ];
    const errors: unknown[] = [];
    for (const step of steps.reverse()) {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, "shutdown steps failed");
  };

  let closing: Promise<void> | undefined;
  let shortest = Number.POSITIVE_INFINITY;
  const shorten = Promise.withResolvers<void>();
  void shorten;

  return undefined as never;
}

function checkGrace(name: string, ms: number): void {
  if (!(ms >= 0)) throw new RangeError(`${name} must be a number of ms from 0, got ${ms}`);
}
