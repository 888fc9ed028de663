import { ENV } from "../protocol/constants.ts";
import type { Endpoint } from "./endpoint.ts";

/**
 * Warns, once per endpoint as Node does with its warning codes, that calls travel unencrypted beyond this machine.
 * `CONNECTPLUGIN_DISABLE_TLS_WARNING=1` silences it.
 */
export function warnOfCleartext(endpoint: Endpoint): void {
  if (endpoint.kind === "unix" || endpoint.secure || endpoint.loopback) return;
  warn(`calls to ${endpoint.url} are not encrypted: use https`);
}

/** As `warnOfCleartext`, for a listener that others than this machine can reach. */
export function warnOfCleartextListener(host: string): void {
  warn(`the listener on ${host} is reachable from other machines and not encrypted: configure tls`);
}

const warned = new Set<string>();
const maxRemembered = 100;

function warn(message: string): void {
  if (process.env[ENV.disableTlsWarning] === "1" || warned.has(message) || warned.size >= maxRemembered) return;
  warned.add(message);
  process.emitWarning(`${message}; ${ENV.disableTlsWarning}=1 silences this`, { code: "CPG_CLEARTEXT" });
}
