import { HEADER } from "../protocol/constants.ts";

/** Headers of a request, of fetch or of Node. */
export type RequestHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/** The runtime id and token that a caller presents, or undefined when either lacks or is malformed. */
export function presentedCredentials(headers: RequestHeaders): { runtimeId: string; token: string } | undefined {
  const runtimeId = single(headers, HEADER.runtimeId);
  const authorization = single(headers, HEADER.authorization);
  if (!runtimeId || !authorization) return undefined;
  const space = authorization.indexOf(" ");
  // https://www.rfc-editor.org/rfc/rfc9110#section-11.1: the scheme is case-insensitive.
  if (authorization.slice(0, space).toLowerCase() !== "bearer") return undefined;
  const token = authorization.slice(space + 1).trim();
  return token === "" ? undefined : { runtimeId, token };
}

function single(headers: RequestHeaders, name: string): string | undefined {
  const value = isFetchHeaders(headers) ? headers.get(name) : headers[name];
  return typeof value === "string" ? value : undefined;
}

function isFetchHeaders(headers: RequestHeaders): headers is Headers {
  return typeof headers.get === "function";
}
