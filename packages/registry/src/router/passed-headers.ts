import { HEADER } from "@cpg/core/extension";

/** Headers of a routed request, taken apart. */
export interface TakenHeaders {
  /** What the caller presents, for `IdentityRegistry.authenticate`. A credential that is there twice is none. */
  readonly credentials: Readonly<Record<string, string | undefined>>;
  /** Names, in lower case, and values in turn: what its provider may see. New, so that more can be added. */
  readonly passed: string[];
}

/**
 * Credentials of a plugin towards its host, and what only the host may say: none of a caller's reaches a provider. The
 * rest does, cookies, traces and deadlines among them: the host sets no cookies, so they are between caller and provider.
 */
const notPassed: ReadonlySet<string> = new Set([
  HEADER.runtimeId,
  HEADER.authorization,
  HEADER.callerId,
  HEADER.controlToken,
  "x-plugin-runtime-token",
  "proxy-authorization",
]);

const noConnectionOption = /^(?:keep-alive|close)$/i;

/**
 * Parts the credentials of a caller from the headers that are passed on.
 *
 * An underscore counts as a hyphen, since to servers that speak CGI they are the same. And a `connection` header cannot
 * name what the host sets: whatever it names is removed on the way (RFC 9110, section 7.6.1), the verified caller would be.
 * @param headers names, in lower case, and values in turn.
 */
export function takeHeaders(headers: readonly string[]): TakenHeaders {
  const credentials: Record<string, string | undefined> = {};
  const passed: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? "";
    const value = headers[index + 1] ?? "";
    if (notPassed.has(name)) {
      credentials[name] = Object.hasOwn(credentials, name) ? undefined : value;
    } else if (name.includes("_") && notPassed.has(name.replaceAll("_", "-"))) {
      // No server of ours takes it for a credential.
    } else if (name === "connection" && !noConnectionOption.test(value)) {
      passed.push(name, harmlessOptions(value));
    } else {
      passed.push(name, value);
    }
  }
  return { credentials, passed };
}

/** What the host itself says of a routed request. */
export interface HostWords {
  /** Runtime id of the verified caller. */
  readonly callerId: string;
  /** Proves to a plugin that this host launched that the request is from it. */
  readonly controlToken: string | undefined;
  /** In which the request came. */
  readonly httpVersion: string;
}

/** Adds to `passed` what the host says. `via` is what RFC 9110, section 7.6.3, asks of gateways. */
export function hostHeaders({ callerId, controlToken, httpVersion }: HostWords): string[] {
  const headers = [HEADER.callerId, callerId, "via", `${httpVersion} cpg`];
  if (controlToken !== undefined) headers.push(HEADER.controlToken, controlToken);
  return headers;
}

function harmlessOptions(value: string): string {
  const options = value.split(",").map((option) => option.trim());
  return options.filter((option) => !isSetByHost(option.toLowerCase().replaceAll("_", "-"))).join(", ");
}

function isSetByHost(name: string): boolean {
  return notPassed.has(name) || name === "via";
}
