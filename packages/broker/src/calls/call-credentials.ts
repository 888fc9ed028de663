import { HEADER, type NodeServerRequest } from "@cpg/core/extension";

/** What a call of a capability shows. */
export interface CallCredentials {
  /** Token of the grant; undefined when there is none, or it is no bearer token. */
  readonly token: string | undefined;
  /** By which the caller proves to be a plugin; undefined when a part of it lacks. */
  readonly proof: { readonly runtimeId: string; readonly token: string } | undefined;
}

/** None of it is for the capability: the id alone proves nothing, and the capability is told who holds the grant. */
const secrets: ReadonlySet<string> = new Set([HEADER.authorization, HEADER.runtimeToken, HEADER.runtimeId]);
// https://www.rfc-editor.org/rfc/rfc9110#section-11.1: the scheme is case-insensitive.
const bearer = /^bearer +(\S+)$/i;

/** Takes the credentials out of a request: nobody else gets to see them. */
export function takeCredentials(request: NodeServerRequest): CallCredentials {
  const { headers, rawHeaders } = request;
  const {
    [HEADER.authorization]: authorization,
    [HEADER.runtimeId]: runtimeId,
    [HEADER.runtimeToken]: proof,
  } = headers;
  for (const name of secrets) delete headers[name];
  let kept = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = "", value = ""] = rawHeaders.slice(at, at + 2);
    if (secrets.has(name.toLowerCase())) continue;
    rawHeaders[kept] = name;
    rawHeaders[kept + 1] = value;
    kept += 2;
  }
  rawHeaders.length = kept;
  return {
    token: bearer.exec(authorization ?? "")?.[1],
    proof:
      typeof runtimeId === "string" && typeof proof === "string" && runtimeId !== "" && proof !== ""
        ? { runtimeId, token: proof }
        : undefined,
  };
}
