import { REGISTRATION_METADATA } from "../protocol/constants.ts";

export interface PluginPlace {
  /** URL under which the host reaches the plugin. Empty: not told. */
  baseUrl(): string;
  /** HTTP versions that are spoken there. Empty: not told. */
  httpVersions(): string;
}

/** What a registration tells of where the plugin is, now. */
export function registrationMetadata(place: PluginPlace): Record<string, string> {
  const baseUrl = place.baseUrl();
  if (baseUrl === "") return {};
  const url = { [REGISTRATION_METADATA.baseUrl]: baseUrl };
  const httpVersions = place.httpVersions();
  return httpVersions === "" ? url : { ...url, [REGISTRATION_METADATA.httpVersions]: httpVersions };
}
