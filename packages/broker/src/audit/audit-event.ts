import type { ConnectError } from "@connectrpc/connect";
import type { Grant, GrantEnd } from "../grants/grant.ts";

interface AuditFacts {
  /** Wall clock ms. */
  readonly timeMs: number;
}

/** What a plugin asked for. */
interface AuditQuestion extends AuditFacts {
  /** Runtime id of the plugin. */
  readonly holder: string;
  /** Of the capability. */
  readonly capability: string;
  /** Least version that it takes; "": any. */
  readonly minVersion: string;
  /** As the plugin put it. */
  readonly reason: string;
}

/** What names the grant that something happened to. Never its token. */
interface AuditGrant extends AuditFacts {
  readonly accessor: string;
  /** Runtime id of the plugin that holds it. */
  readonly holder: string;
  /** Of the capability. */
  readonly capability: string;
  readonly version: string;
}

/** Something that a broker did or refused to do. */
export type AuditEvent =
  /** A plugin asks for a capability. "denied" or "granted" follows. */
  | (AuditQuestion & { readonly type: "requested" })
  /** It got none: policy, version or a limit. */
  | (AuditQuestion & { readonly type: "denied"; readonly error: ConnectError })
  /** `reason`: of the plugin that asked. */
  | (AuditGrant & { readonly type: "granted"; readonly reason: string; readonly ttlMs: number })
  | (AuditGrant & { readonly type: "renewed"; readonly ttlMs: number })
  /** A holder made a grant for another plugin, out of the one with the accessor `derivedFrom`. */
  | (AuditGrant & {
      readonly type: "derived";
      readonly derivedFrom: string;
      readonly methods: readonly string[] | undefined;
      readonly reason: string;
      readonly ttlMs: number;
    })
  /** A call was let in. `method`: its full name, or of a plain HTTP capability its path. */
  | (AuditGrant & { readonly type: "used"; readonly method: string })
  /**
   * A call was not: of a capability, of a holder that renews, derives or gives back, or of one without an identity. What is
   * known of the grant that it names is there only if the grant is.
   */
  | (AuditFacts & {
      readonly type: "refused";
      /** Runtime id of a plugin that asked for something to become of a grant, perhaps of another's. */
      readonly caller?: string | undefined;
      readonly accessor: string | undefined;
      readonly holder: string | undefined;
      readonly capability: string | undefined;
      readonly error: ConnectError;
    })
  /**
   * It is over: its time was up, the host revoked it, its holder gave it back, or the holder's identity ended. `reason`: why,
   * in words. What was derived from a grant that ends has an event of its own, with the same type and reason.
   */
  | (AuditGrant & { readonly type: GrantEnd; readonly reason: string });

/** What is told of a grant in each event about it. */
export function auditedGrant({ accessor, holder, type, version }: Grant): Omit<AuditGrant, "timeMs"> {
  return { accessor, holder, capability: type, version };
}
