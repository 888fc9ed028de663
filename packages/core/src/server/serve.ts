import { Code, ConnectError } from "@connectrpc/connect";
import { systemClock } from "@cpg/resilience";
import { callerIdKey, readCaller } from "../control/caller.ts";
import { createControlGuard } from "../control/control-guard.ts";
import { checkImplementations, checkPluginSet, type PluginSet } from "../definition/plugin-set.ts";
import { createHealthReporter, type HealthReporter } from "../health/health-reporter.ts";
import { createHealthRoutes } from "../health/health-routes.ts";
import type { HostLink } from "../host-link/host-link.ts";
import { createIdentityRegistry, type IdentityRegistry } from "../identity/identity-registry.ts";
import { loopbackPeers } from "../identity/loopback-peers.ts";
import { identityGate, requireIdentity } from "../identity/require-identity.ts";
import { within } from "../internal/bounded.ts";
import { callListener } from "../internal/call-listener.ts";
import { runAll } from "../internal/run-all.ts";
import { formatReadyLine } from "../launch/process/ready-line.ts";
import { type BoundAddress, type Listener, openListener } from "../listener/listener.ts";
import { DEFAULT_GRACE_MS } from "../protocol/constants.ts";
import { checkFreeText, checkName } from "../protocol/field-rules.ts";
import { warnOfCleartextListener } from "../wire/cleartext-warning.ts";
import { createRpcHandler } from "../wire/rpc-handler.ts";
import { checkGrace, checkServeOptions, normalizeUrl } from "./check-serve-options.ts";
import { parseLaunchEnvironment } from "./environment-schema.ts";
import { type HostContext, type InstalledExtension, SHUTDOWN_STEP_MS } from "./host-extension.ts";
import { createHttpRouter } from "./http-router.ts";
import { takeEnvironment } from "./launch-variables.ts";
import { chooseListenAddress, isLocalOnly } from "./listen-choice.ts";
import { isPrivateSocket } from "./private-socket.ts";
import { setContextValues } from "./request-context.ts";
import type { ServeOptions } from "./serve-options.ts";
import { createServerLink } from "./server-link.ts";
import { registerRoutes } from "./server-routes.ts";
import { createShutdown } from "./shutdown.ts";
import { onShutdownSignal } from "./shutdown-signals.ts";

export interface CloseOptions {
  /** How long calls in flight may take to finish, in ms. Default: `graceMs` of the server. */
  readonly graceMs?: number | undefined;
}

export interface PluginServer extends AsyncDisposable {
  /** Where the server listens, "http://127.0.0.1:8080", "https://…" or "unix:/path": what a client takes. */
  readonly endpoint: string;
  readonly address: BoundAddress;
  /** URL under which others reach it: `publicUrl`, else the endpoint. */
  readonly publicUrl: string;
  readonly health: HealthReporter;
  /** The runtime identities that this server issues. */
  readonly identities: IdentityRegistry;
  /** The link to this plugin's host, unless it has none. */
  readonly link: HostLink | undefined;
  /** Aborts when the server begins to close. Streams that would not end by themselves should end then. */
  readonly draining: AbortSignal;
  /** Resolves when the server has closed, whoever closed it: its owner, its host or a signal. Never rejects. */
  readonly closed: Promise<void>;
  /**
   * Closes gracefully: reports itself not ready, takes its registrations back, accepts no more connections, lets calls in
   * flight finish within the grace, cuts what remains, and runs the shutdown steps of the extensions in reverse order.
   * Called again it shares the result; the earliest end of a grace wins.
   * @throws {RangeError} for a bad grace. {AggregateError} of what the shutdown steps threw, after all of them ran.
   */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Serves plugins, and the host APIs that extensions add, on one port: HTTP/1.1 and HTTP/2; Connect, gRPC and gRPC-Web.
 * Resolves when the server accepts calls.
 * @throws {TypeError} {RangeError} for bad options, naming the option. {ConnectError} `failed_precondition` for a host
 * that listens beyond this machine without an admission policy, `invalid_argument` for names and metadata against the
 * rules of the protocol. {Error} of Node when it cannot listen.
 * @example
 * const server = await serve({ plugins: { kv }, impls: { kv: new MyKVStore() } });
 */
export async function serve<const Plugins extends PluginSet>(options: ServeOptions<Plugins>): Promise<PluginServer> {
  const { plugins, extensions = [], clock = systemClock } = options;
  const onError = (error: unknown): void => {
    callListener(
      () => options.onError?.(error),
      () => {},
    );
  };
  const { graceMs = DEFAULT_GRACE_MS, handleSignals = true } = options;
  checkPluginSet(plugins);
  const impls = checkImplementations(plugins, options.impls);
  checkServeOptions(options);
  const [first] = Object.values(plugins);
  const self = {
    selfId: options.selfId ?? first?.name ?? "",
    selfVersion: options.selfVersion ?? first?.version ?? "",
  };
  checkName("selfId", self.selfId);
  checkFreeText("selfVersion", self.selfVersion);
  const environment = parseLaunchEnvironment(options.environment ?? takeEnvironment());
  const address = chooseListenAddress(options.listen, environment);
  const launchedOnSocket = options.listen === undefined && "socketPath" in address;
  const localOnly = isLocalOnly(address);
  const admission = options.admission ?? (localOnly ? loopbackPeers() : undefined);
  if (admission === undefined && extensions.length > 0) {
    throw new ConnectError(
      "a host that listens beyond this machine needs an admission policy: set admission to allowPeers([...]), " +
        "admitWhen(...) or, to let anybody in, openAdmission()",
      Code.FailedPrecondition,
    );
  }
  if (!localOnly && options.tls === undefined && "port" in address) warnOfCleartextListener(address.host ?? "");

  const health = createHealthReporter({ plugins: Object.keys(plugins), onError });
  const guard = createControlGuard({
    ...options.control,
    token: options.control?.token ?? environment.controlToken,
    privateSocket: launchedOnSocket && isPrivateSocket(address.socketPath),
  });
  const identities = createIdentityRegistry({
    ttlMs: options.identityTtlMs,
    maxIdentities: options.maxIdentities,
    onError,
    clock,
  });
  let listener: Listener | undefined;
  const ownUrl = options.publicUrl === undefined ? undefined : normalizeUrl("publicUrl", options.publicUrl);
  const publicUrl = () => ownUrl ?? listener?.endpoint ?? "";
  const link = createServerLink({ options, environment, self, health, clock, baseUrl: publicUrl });
  const shutdown = createShutdown({ clock });
  const host: HostContext = {
    identities,
    requireIdentity: requireIdentity(identities),
    identityGate: identityGate(identities),
    health,
    clock,
    draining: shutdown.draining,
    publicUrl,
  };
  const installed: InstalledExtension[] = [];
  const shutDown = (extension: InstalledExtension, name = "") =>
    within(
      clock,
      SHUTDOWN_STEP_MS,
      async () => extension.shutdown?.(),
      () => new Error(`extension "${name}" did not shut down within ${SHUTDOWN_STEP_MS} ms`),
    );
  const cleanUp = () =>
    runAll("shutdown steps failed", [
      ...installed.map((extension, index) => () => shutDown(extension, extensions[index]?.name)).reverse(),
      () => link?.close(),
      () => identities.close(),
    ]);

  try {
    for (const extension of extensions) installed.push(extension.install(host));
    const routes = [
      ...createHealthRoutes(health),
      ...installed.flatMap(({ httpRoutes = [] }) => httpRoutes),
      ...(options.httpRoutes ?? []),
    ];
    const contextHooks = [...installed, options];
    const serveHttp = createHttpRouter(routes, onError);
    const handler = createRpcHandler({
      routes: (router) =>
        registerRoutes(router, {
          options,
          impls,
          host,
          installed,
          admission,
          guard,
          link,
          self,
          onShutdown: (order) => void close(order).catch(onError),
        }),
      fallback(request, response) {
        readCaller(guard, request); // for the headers that the route sees
        serveHttp(request, response);
      },
      contextValues(request, values) {
        values.set(callerIdKey, readCaller(guard, request));
        for (const hook of contextHooks) setContextValues(hook, request, values, onError);
      },
      maxMessageBytes: options.maxMessageBytes,
      maxResponseBytes: options.maxResponseBytes,
      registry: options.registry,
      shutdownSignal: shutdown.cut,
      onError,
    });
    // Who launched the plugin reaches it through the socket it made, which needs no TLS.
    const tls = launchedOnSocket ? undefined : options.tls;
    listener = await openListener({ address, tls, limits: options.limits, handler, onError, clock });
  } catch (reason) {
    await cleanUp().catch(onError);
    throw reason;
  }

  const open = listener;
  const { promise: closed, resolve: tellClosed } = Promise.withResolvers<void>();
  const close = (order: CloseOptions = {}): Promise<void> => {
    const { graceMs: closeGraceMs = graceMs } = order;
    checkGrace(closeGraceMs);
    return shutdown.begin(closeGraceMs, {
      announce() {
        health.drain();
        return link?.withdraw();
      },
      drain: (drainMs) => open.drain(drainMs),
      async cleanUp() {
        forgetSignal();
        await cleanUp().finally(tellClosed);
      },
    });
  };
  const forgetSignal = handleSignals ? onShutdownSignal(() => close().catch(onError)) : () => {};
  const server: PluginServer = {
    endpoint: open.endpoint,
    address: open.address,
    publicUrl: publicUrl(),
    health,
    identities,
    link,
    draining: shutdown.draining,
    closed,
    close,
    [Symbol.asyncDispose]: () => close(),
  };
  link?.start();
  if (environment.readyLine) process.stdout.write(`${formatReadyLine(open.endpoint)}\n`);
  return server;
}
