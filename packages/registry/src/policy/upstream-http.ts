import { REGISTRATION_METADATA } from "@cpg/core/extension";
import type { UpstreamHttp } from "../router/upstream.ts";

/** The HTTP version for calls of a provider, from its registration. What is not understood counts as not said. */
export function upstreamHttp(metadata: Readonly<Record<string, string>>): UpstreamHttp {
  const text = metadata[REGISTRATION_METADATA.httpVersions] ?? "";
  const versions = text.split(",").map((version) => version.trim());
  if (versions.includes("2")) return "2";
  return versions.includes("1.1") ? "1.1" : "auto";
}
