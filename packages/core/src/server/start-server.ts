import { Code, ConnectError } from "@connectrpc/connect";
import { systemClock } from "@cpg/resilience";
import { createControlGuard } from "../control/control-guard.ts";
import { checkImplementations, type PluginSet } from "../definition/plugin-set.ts";
import { createHealthReporter } from "../health/health-reporter.ts";
import { createIdentityRegistry } from "../identity/identity-registry.ts";
import { loopbackPeers } from "../identity/loopback-peers.ts";
import { identityGate, requireIdentity } from "../identity/require-identity.ts";
import { within } from "../internal/bounded.ts";
import { callListener } from "../internal/call-listener.ts";
import { runAll } from "../internal/run-all.ts";
import { DEFAULT_GRACE_MS } from "../protocol/constants.ts";
import { checkFreeText, checkName } from "../protocol/field-rules.ts";
import type { Carrier, CarrierPlan } from "./carrier.ts";
import { checkGrace, checkServedPlugins, checkServeOptions, normalizeUrl } from "./check-serve-options.ts";
import type { LaunchEnvironment } from "./environment-schema.ts";
import { type HostContext, type InstalledExtension, SHUTDOWN_STEP_MS } from "./host-extension.ts";
import type { CloseOptions, PluginServer } from "./plugin-server.ts";
import type { ServeOptions } from "./serve-options.ts";
import { createServerLink } from "./server-link.ts";
import { registerRoutes } from "./server-routes.ts";
import { createShutdown } from "./shutdown.ts";
import { onShutdownSignal } from "./shutdown-signals.ts";

/**
 * Starts a server whose calls come through a carrier of any kind.
 * @throws as `serve`.
 */
export async function startServer<Plugins extends PluginSet>(
  options: ServeOptions<Plugins>,
  environment: LaunchEnvironment,
  plan: CarrierPlan,
): Promise<PluginServer> {
  const { plugins, extensions = [], clock = systemClock } = options;
  const onError = (error: unknown): void => {
    callListener(
      () => options.onError?.(error),
      () => {},
    );
  };
  const { graceMs = DEFAULT_GRACE_MS, handleSignals = true } = options;
  const isHost = extensions.length > 0;
  checkServedPlugins(options);
  const impls = checkImplementations(plugins, options.impls);
  checkServeOptions(options);
  const [first] = Object.values(plugins);
  const self = {
    selfId: options.selfId ?? first?.name ?? "host",
    selfVersion: options.selfVersion ?? first?.version ?? "",
  };
  checkName("selfId", self.selfId);
  checkFreeText("selfVersion", self.selfVersion);
  const admission = options.admission ?? (plan.localOnly ? loopbackPeers() : undefined);
  if (admission === undefined && isHost) {
    throw new ConnectError(
      "a host that listens beyond this machine needs an admission policy: set admission to allowPeers([...]), " +
        "admitWhen(...) or, to let anybody in, openAdmission()",
      Code.FailedPrecondition,
    );
  }

  const health = createHealthReporter({ plugins: Object.keys(plugins), onError });
  const guard = createControlGuard({
    ...options.control,
    token: options.control?.token ?? environment.controlToken,
    privateSocket: plan.privateSocket,
  });
  const identities = createIdentityRegistry({
    ttlMs: options.identityTtlMs,
    maxIdentities: options.maxIdentities,
    onError,
    clock,
  });
  let carrier: Carrier | undefined;
  const ownUrl = options.publicUrl === undefined ? undefined : normalizeUrl("publicUrl", options.publicUrl);
  const publicUrl = () => ownUrl ?? carrier?.endpoint ?? "";
  const link = createServerLink({
    options,
    environment,
    self,
    health,
    clock,
    ownUrl: () => carrier?.endpoint ?? "",
    httpVersions: plan.httpVersions,
    baseUrl: publicUrl,
  });
  const shutdown = createShutdown({ clock });
  const installed: InstalledExtension[] = [];
  const host: HostContext = {
    identities,
    requireIdentity: requireIdentity(identities),
    identityGate: identityGate(identities),
    health,
    clock,
    draining: shutdown.draining,
    publicUrl,
    address: () => carrier?.address,
    capabilities: () => installed.flatMap((extension) => extension.handshakeFacts?.().capabilities ?? []),
  };
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
    carrier = await plan.open({
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
          httpVersions: plan.httpVersions,
          onShutdown: (order) => void close(order).catch(onError),
        }),
      gate: options.gate,
      httpRoutes: [...installed.flatMap(({ httpRoutes = [] }) => httpRoutes), ...(options.httpRoutes ?? [])],
      contextHooks: [...installed, options],
      guard,
      health,
      maxMessageBytes: options.maxMessageBytes,
      maxResponseBytes: options.maxResponseBytes,
      registry: options.registry,
      cut: shutdown.cut,
      onError,
      clock,
    });
  } catch (reason) {
    await cleanUp().catch(onError);
    throw reason;
  }

  const open = carrier;
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
  open.tellReady();
  return server;
}
