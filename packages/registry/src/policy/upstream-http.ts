import type { UpstreamHttp } from "../router/upstream.ts";

/** Registration metadata that tells which HTTP versions a provider speaks: "1.1", "2" or "1.1,2". */
export const HTTP_VERSIONS_KEY = "http_versions";

/** The HTTP version for calls of a provider. What is not understood counts as not said. */
export function upstreamHttp(metadata: Readonly<Record<string, string>>): UpstreamHttp {
  const versions = (metadata[HTTP_VERSIONS_KEY] ?? "").split(",").map((version) => version.trim());
  if (versions.includes("2")) return "2";
  return versions.includes("1.1") ? "1.1" : "auto";
}
