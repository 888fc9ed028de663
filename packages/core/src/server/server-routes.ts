import type { ConnectRouter } from "@connectrpc/connect";
import type { ControlGuard } from "../control/control-guard.ts";
import { createPluginControlService, type ShutdownOrder } from "../control/plugin-control-service.ts";
import { createPluginIdentityService } from "../control/plugin-identity-service.ts";
import type { AnyImplementation, PluginSet } from "../definition/plugin-set.ts";
import { HealthService } from "../gen/connectplugin/health/v1/health_pb.ts";
import { HandshakeService } from "../gen/connectplugin/v1/handshake_pb.ts";
import { PluginControl, PluginIdentity } from "../gen/connectplugin/v1/plugin_pb.ts";
import { RuntimeService } from "../gen/cpg/runtime/v1/runtime_pb.ts";
import { createHandshakeService } from "../handshake/handshake-service.ts";
import { createHealthService } from "../health/health-service.ts";
import type { HostLink } from "../host-link/host-link.ts";
import type { AdmissionPolicy } from "../identity/admission.ts";
import { createRuntimeService } from "../identity/runtime-service.ts";
import { SERVER_METADATA } from "../protocol/constants.ts";
import { withInterceptors } from "./extended-router.ts";
import type { HostContext, InstalledExtension } from "./host-extension.ts";
import type { LinkOptions, ServeOptions } from "./serve-options.ts";

export interface ServerParts<Plugins extends PluginSet> {
  readonly options: ServeOptions<Plugins>;
  readonly impls: ReadonlyMap<string, AnyImplementation>;
  readonly host: HostContext;
  readonly installed: readonly InstalledExtension[];
  /** Undefined: no identities are issued. */
  readonly admission: AdmissionPolicy | undefined;
  readonly guard: ControlGuard;
  readonly link: HostLink | undefined;
  readonly self: { readonly selfId: string; readonly selfVersion: string };
  /** As the handshake announces them; undefined: calls do not travel over HTTP. */
  readonly httpVersions: string | undefined;
  onShutdown(order: ShutdownOrder): void;
}

/** Adds every RPC of a server to a router: the protocol's own, those of the extensions, and the plugins. */
export function registerRoutes<Plugins extends PluginSet>(router: ConnectRouter, parts: ServerParts<Plugins>): void {
  const { options, impls, host, installed, admission, guard, link, self, httpVersions, onShutdown } = parts;
  const { plugins, interceptors = [], pluginInterceptors } = options;
  const { health, identities, clock } = host;
  const served = withInterceptors(router, interceptors);

  served.service(
    HandshakeService,
    createHandshakeService({
      plugins,
      magicCookie: options.magicCookie,
      appProtocolVersions: options.appProtocolVersions,
      identities: admission && identities,
      admission: admission ?? nobody,
      rate: options.handshakeRate,
      clock,
      serverMetadata: () => ({
        ...options.serverMetadata,
        ...Object.assign({}, ...installed.map((extension) => extension.handshakeFacts?.().serverMetadata)),
        // What this server can do is not for others to say.
        [SERVER_METADATA.http]: httpVersions ?? "",
        ...(admission && { [SERVER_METADATA.runtime]: "1" }),
      }),
      capabilities: () => [...host.capabilities()],
    }),
  );
  served.service(HealthService, createHealthService(health));
  if (admission) {
    served.service(RuntimeService, createRuntimeService(identities), {
      interceptors: [host.requireIdentity],
      requestGate: host.identityGate,
    });
  }
  served.service(PluginControl, createPluginControlService({ guard, health, graceMs: options.graceMs, onShutdown }));
  served.service(
    PluginIdentity,
    createPluginIdentityService({
      ...self,
      plugins,
      declares: options.declares,
      guard,
      defaultHostUrl: configuredHostUrl(options.link),
      assign: (identity) => link?.setIdentity(identity) ?? false,
    }),
  );
  for (const extension of installed) extension.routes?.(served);
  for (const [name, impl] of impls) {
    const plugin = plugins[name];
    if (plugin) served.service(plugin.service, impl, { interceptors: [...(pluginInterceptors?.[name] ?? [])] });
  }
}

/** Never asked: without identities there is nothing to be admitted to. */
const nobody: AdmissionPolicy = {
  name: "nobody",
  admit: () => ({ admitted: false, rule: "this server issues no identities" }),
};

/** Where a host is that gives an identity without saying so. */
function configuredHostUrl(link: LinkOptions | false | undefined): string | undefined {
  return typeof link === "object" && typeof link.hostUrl === "string" ? link.hostUrl : undefined;
}
