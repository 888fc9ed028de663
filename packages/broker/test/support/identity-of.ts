import type { RuntimeIdentity } from "@cpg/core";

/** An identity that nobody issued, for what only looks at it. */
export function identityOf(selfId: string, declares?: RuntimeIdentity["declares"]): RuntimeIdentity {
  return {
    id: `${selfId}-1`,
    source: "runtime-identity",
    runtimeId: `${selfId}-1`,
    selfId,
    selfVersion: "",
    issuedAtMs: 0,
    expiresAtMs: 0,
    peer: undefined,
    declares,
    ended: new AbortController().signal,
    onEnd: () => () => {},
  };
}
