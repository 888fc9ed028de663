import type { DirectEndpoint, ExitReport, PluginSet, RuntimeIdentity, StopOptions } from "@cpg/core";
import { parseEndpoint } from "@cpg/core";
import type { HostUpstreamPolicy } from "../policy/create-upstream-policy.ts";
import type { Upstream } from "../router/upstream.ts";

/** A plugin that `launchPlugin` of @cpg/core started. */
export interface LaunchedTarget {
  readonly endpoint: string;
  readonly direct: DirectEndpoint | undefined;
  readonly plugins: PluginSet;
  readonly controlToken: string;
  readonly identity: RuntimeIdentity | undefined;
  readonly exited: Promise<ExitReport>;
  connect(): Promise<{ readonly httpVersion: "1.1" | "2" | undefined }>;
  stop(options?: StopOptions): Promise<ExitReport>;
}

/** "http://host:port", "https://host:port", with a path if need be; or a plugin that this process launched. */
export type AttachTarget = string | LaunchedTarget;

/**
 * Where a plugin is that the host itself named. A Unix socket, or none at all, is only for plugins that it launched.
 * @throws {ConnectError} `invalid_argument` for a malformed endpoint, `permission_denied` for the host's own listener,
 * `unavailable` for a name that cannot be resolved or a plugin that has ended.
 */
export async function locateTarget(
  target: AttachTarget,
  upstreams: Pick<HostUpstreamPolicy, "settle">,
  signal: AbortSignal,
): Promise<Upstream> {
  if (typeof target === "string") return upstreams.settle(target, signal);
  const { direct, plugins, endpoint: text } = target;
  if (direct !== undefined) return { kind: "direct", endpoint: direct, plugins };
  const { httpVersion } = await target.connect();
  const http = httpVersion === "2" ? "2" : "auto";
  const endpoint = parseEndpoint(text);
  if (endpoint.kind === "unix") {
    return { kind: "unix", path: endpoint.path, authority: "localhost", basePath: "", http };
  }
  return { ...(await upstreams.settle(text, signal)), http };
}
