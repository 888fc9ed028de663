import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { type Clock, peerKey, systemClock } from "@cpg/resilience";
import type { PluginDefinition } from "../definition/plugin-definition.ts";
import type { PluginSet } from "../definition/plugin-set.ts";
import type {
  HandshakeRequest,
  HandshakeResponseSchema,
  HandshakeService,
  PluginInfoSchema,
} from "../gen/connectplugin/v1/handshake_pb.ts";
import { type AdmissionPolicy, requireAdmission } from "../identity/admission.ts";
import type { IdentityRegistry, IssuedIdentity } from "../identity/identity-registry.ts";
import {
  CORE_PROTOCOL_VERSION,
  DEFAULT_APP_PROTOCOL_VERSION,
  DEFAULT_MAGIC_COOKIE,
  type MagicCookie,
} from "../protocol/constants.ts";
import { authorityKey } from "../wire/request-authority.ts";
import { createHandshakeRate, type HandshakeRateOptions } from "./handshake-rate.ts";
import { checkCookie, checkCoreVersion, checkFields, chooseAppVersion, declaredServices } from "./request-checks.ts";
import { byPreference, checkAppProtocolVersions } from "./version-negotiation.ts";

export interface HandshakeServiceOptions {
  /** The plugins on offer. A host that offers none passes `{}`. */
  readonly plugins: PluginSet;
  /** Default: the cookie of the protocol. */
  readonly magicCookie?: MagicCookie | undefined;
  /** Versions of the application's own protocol that this side speaks. Default [1]. */
  readonly appProtocolVersions?: readonly number[] | undefined;
  /** Facts for the answer, asked for each time. Default: none. */
  readonly serverMetadata?: (() => Readonly<Record<string, string>>) | undefined;
  /** What the host lends to plugins, asked for each time. Default: nothing. */
  readonly capabilities?: (() => readonly AdvertisedCapability[]) | undefined;
  /** Issues identities. Default: none are issued. */
  readonly identities?: IdentityRegistry | undefined;
  /** Who may get an identity. */
  readonly admission: AdmissionPolicy;
  readonly rate?: HandshakeRateOptions | undefined;
  readonly clock?: Clock | undefined;
}

export interface AdvertisedCapability {
  readonly type: string;
  readonly version: string;
  /** Absolute URL. */
  readonly endpoint: string;
}

/**
 * The server's half of the handshake. The checks, in this order: cookie, core version, app version, limits of the
 * fields, rate, admission; the last only for a caller that asks for an identity. A handshake that fails changes
 * nothing but the count of the caller's failures.
 * @throws {RangeError} naming the option.
 */
export function createHandshakeService(options: HandshakeServiceOptions): ServiceImpl<typeof HandshakeService> {
  const {
    plugins,
    magicCookie = DEFAULT_MAGIC_COOKIE,
    appProtocolVersions = [DEFAULT_APP_PROTOCOL_VERSION],
    serverMetadata = () => ({}),
    capabilities = () => [],
    identities,
    admission,
    clock = systemClock,
  } = options;
  checkAppProtocolVersions("appProtocolVersions", appProtocolVersions);
  const ours = byPreference(appProtocolVersions);
  const rate = createHandshakeRate(options.rate ?? {}, clock);

  const check = (request: HandshakeRequest): number => {
    checkCookie(request, magicCookie);
    checkCoreVersion(request);
    const version = chooseAppVersion(request, ours);
    checkFields(request);
    return version;
  };

  const issue = async (request: HandshakeRequest, context: HandlerContext): Promise<IssuedIdentity | undefined> => {
    const { selfId, selfVersion } = request;
    if (identities === undefined || selfId === "") return undefined;
    const peer = context.values.get(peerKey);
    const authority = context.values.get(authorityKey);
    const { requestHeader: headers, values: contextValues, signal } = context;
    await requireAdmission(
      admission,
      { peer, authority, headers, contextValues, selfId, selfVersion },
      { clock, signal },
    );
    // Undefined: the caller does not know declarations, which is not the same as declaring nothing.
    const declares = request.declaresServices ? declaredServices(request) : undefined;
    return identities.issue({ selfId, selfVersion, peer, declares });
  };

  return {
    async handshake(request, context) {
      const peer = context.values.get(peerKey);
      let version: number;
      try {
        version = check(request);
      } catch (reason) {
        rate.admit(peer, { kind: "failed" });
        throw reason;
      }
      const { selfId } = request;
      rate.admit(peer, selfId === "" ? { kind: "anonymous" } : { kind: "named", selfId });

      const response: MessageInitShape<typeof HandshakeResponseSchema> = {
        coreProtocolVersion: CORE_PROTOCOL_VERSION,
        appProtocolVersion: version,
        plugins: offered(plugins, request.requestedPlugins),
        serverMetadata: { ...serverMetadata() },
        hostCapabilities: capabilities().map(({ type, version, endpoint }) => ({ type, version, endpoint })),
      };
      // A caller that knows a single version gets the answer it knows.
      if (request.appProtocolVersions.length > 0) response.appProtocolVersions = ours;
      // Last, so that an answer that cannot be made leaves no identity behind.
      const issued = await issue(request, context);
      if (issued !== undefined) {
        response.runtimeId = issued.identity.runtimeId;
        response.runtimeToken = issued.token;
        response.runtimeTokenTtl = durationFromMs(issued.ttlMs);
      }
      return response;
    },
  };
}

function offered(plugins: PluginSet, requested: readonly string[]): MessageInitShape<typeof PluginInfoSchema>[] {
  const infos: MessageInitShape<typeof PluginInfoSchema>[] = [];
  for (const name of new Set(requested)) {
    const plugin = Object.hasOwn(plugins, name) ? plugins[name] : undefined;
    if (plugin !== undefined) infos.push(pluginInfo(plugin));
  }
  return infos;
}

function pluginInfo({ name, version, servicePath, provides, requires }: PluginDefinition) {
  return {
    name,
    version,
    servicePath,
    provides: provides.map(({ type, version, path = servicePath }) => ({ type, version, path })),
    requires: requires.map(({ type, minVersion = "", requiredForStartup = true, watchForChanges = false }) => ({
      type,
      minVersion,
      requiredForStartup,
      watchForChanges,
    })),
  };
}
