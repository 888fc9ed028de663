import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { peerKey } from "@cpg/resilience";
import { allDeclarations, type OwnDeclarations } from "../definition/declared-services.ts";
import type { PluginSet } from "../definition/plugin-set.ts";
import type { PluginIdentity } from "../gen/connectplugin/v1/plugin_pb.ts";
import { DEFAULT_HOST_URL, HEADER } from "../protocol/constants.ts";
import { invalidField } from "../protocol/wire-error.ts";
import { parseEndpoint } from "../wire/endpoint.ts";
import type { ControlGuard } from "./control-guard.ts";
import { isRuntimeId, RUNTIME_ID_RULE } from "./runtime-id.ts";

/** The identity that a host gives to a plugin it manages. */
export interface AssignedIdentity {
  readonly runtimeId: string;
  readonly runtimeToken: string;
  readonly hostUrl: string;
}

export interface PluginIdentityOptions {
  readonly plugins: PluginSet;
  readonly declares?: OwnDeclarations | undefined;
  readonly selfId: string;
  readonly selfVersion: string;
  readonly guard: ControlGuard;
  /** Where the host is when it does not say. Default http://localhost:8080. */
  readonly defaultHostUrl?: string | undefined;
  /** Takes the identity over. False: this program has no use for one. */
  assign(identity: AssignedIdentity): boolean;
}

const maxTokenBytes = 4096;
const maxUrlBytes = 2048;
const printable = /^[\x21-\x7e]+$/;

/** connectplugin.v1.PluginIdentity: GetPluginInfo for anybody, SetRuntimeIdentity for the plugin's own host. */
export function createPluginIdentityService(options: PluginIdentityOptions): ServiceImpl<typeof PluginIdentity> {
  const { plugins, declares, selfId, selfVersion, guard, defaultHostUrl = DEFAULT_HOST_URL, assign } = options;
  const { provides, requires } = allDeclarations(plugins, declares);
  const info = {
    selfId,
    selfVersion,
    provides: [...provides],
    requires: [...requires],
    metadata: { name: selfId, version: selfVersion },
  };
  return {
    getPluginInfo(_, { requestHeader, responseHeader }) {
      const challenge = requestHeader.get(HEADER.launchChallenge);
      const proof = challenge === null ? undefined : guard.proveLaunch(challenge);
      if (proof !== undefined) responseHeader.set(HEADER.launchProof, proof);
      return info;
    },
    setRuntimeIdentity({ runtimeId, runtimeToken, hostUrl, controlToken }, context) {
      guard.requireHost({ token: controlToken, peer: context.values.get(peerKey) });
      if (!isRuntimeId(runtimeId)) throw invalidField("runtime_id", RUNTIME_ID_RULE);
      if (runtimeToken.length > maxTokenBytes || !printable.test(runtimeToken)) {
        throw invalidField("runtime_token", `must have 1 to ${maxTokenBytes} printable ASCII characters`);
      }
      const taken = assign({ runtimeId, runtimeToken, hostUrl: checkHostUrl(hostUrl || defaultHostUrl) });
      // Not only unacknowledged, which hosts overlook.
      if (!taken)
        throw new ConnectError("this program takes no identity: it has no link to a host", Code.FailedPrecondition);
      return { acknowledged: true };
    },
  };
}

function checkHostUrl(hostUrl: string): string {
  if (Buffer.byteLength(hostUrl) > maxUrlBytes)
    throw invalidField("host_url", `must have at most ${maxUrlBytes} bytes`);
  try {
    parseEndpoint(hostUrl);
  } catch (error) {
    throw invalidField("host_url", error instanceof Error ? error.message.replace(/^endpoint /, "") : "is malformed");
  }
  return hostUrl;
}
