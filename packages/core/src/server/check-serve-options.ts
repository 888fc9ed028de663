import { allDeclarations } from "../definition/declared-services.ts";
import { checkPluginSet, type PluginSet } from "../definition/plugin-set.ts";
import { checkHostEndpoints } from "../host-link/host-choice.ts";
import { checkMagicCookie, checkMetadata } from "../protocol/field-rules.ts";
import { formatEndpoint, parseEndpoint } from "../wire/endpoint.ts";
import type { ServeOptions } from "./serve-options.ts";

/**
 * Checks the options that no part of the server checks under the name that they have here.
 * @throws {TypeError} {RangeError} naming the option. {ConnectError} `invalid_argument` for bad metadata.
 */
export function checkServeOptions<Plugins extends PluginSet>(options: ServeOptions<Plugins>): void {
  const { plugins, link, identityTtlMs, magicCookie, serverMetadata, pluginInterceptors = {} } = options;
  allDeclarations(plugins, options.declares);
  if (options.publicUrl !== undefined) normalizeUrl("publicUrl", options.publicUrl);
  if (link && link.hostUrl !== undefined) checkHostEndpoints("link.hostUrl", link.hostUrl);
  if (link && link.baseUrl !== undefined) normalizeUrl("link.baseUrl", link.baseUrl);
  if (options.graceMs !== undefined) checkGrace(options.graceMs);
  if (identityTtlMs !== undefined && !(Number.isInteger(identityTtlMs) && identityTtlMs >= 1)) {
    throw new RangeError(`identityTtlMs must be a whole number from 1, got ${identityTtlMs}`);
  }
  if (magicCookie !== undefined) checkMagicCookie("magicCookie", magicCookie);
  if (serverMetadata !== undefined) checkMetadata("serverMetadata", serverMetadata);
  for (const name of Object.keys(pluginInterceptors)) {
    if (!Object.hasOwn(plugins, name)) throw new TypeError(`pluginInterceptors.${name} has no plugin of that name`);
  }
}

/** Without plugins a server is a host, by its extensions, or a program that only uses others, by its name. @throws {TypeError} */
export function checkServedPlugins<Plugins extends PluginSet>(options: ServeOptions<Plugins>): void {
  const { plugins, extensions = [], selfId } = options;
  if (Object.keys(plugins).length > 0) {
    checkPluginSet(plugins);
  } else if (extensions.length === 0 && selfId === undefined) {
    throw new TypeError(
      "plugins must name at least one plugin; without any, a program that only uses others needs a selfId, and a host extensions",
    );
  }
}

/** @throws {RangeError} */
export function checkGrace(graceMs: number): void {
  if (!(Number.isFinite(graceMs) && graceMs >= 0)) {
    throw new RangeError(`graceMs must be a finite number of ms from 0, got ${graceMs}`);
  }
}

/** A URL without its last slash, to which paths can be appended. @throws {TypeError} naming the option and the rule. */
export function normalizeUrl(option: string, url: string): string {
  try {
    return formatEndpoint(parseEndpoint(url));
  } catch (reason) {
    const rule = reason instanceof Error ? reason.message.replace(/^endpoint /, "") : "is malformed";
    throw new TypeError(`${option} ${rule}`, { cause: reason });
  }
}
