import { type ConnectError, type ContextKey, createContextKey } from "@connectrpc/connect";
import type { Peer, VerifiedIdentity } from "@cpg/resilience";
import type { ServiceDeclaration, ServiceDependency } from "../definition/plugin-definition.ts";

/** What a plugin said when it shook hands that it will register and call. */
export interface DeclaredServices {
  readonly provides: readonly ServiceDeclaration[];
  readonly requires: readonly ServiceDependency[];
}

/** A plugin as its host knows it. One object for the whole life of an identity. */
export interface RuntimeIdentity extends VerifiedIdentity {
  /** The same as `id`: "{self_id in lower case}-{random suffix}". */
  readonly runtimeId: string;
  /** The name that the plugin gave itself. */
  readonly selfId: string;
  /** Free text, at most 64 bytes; empty when the plugin gave none. */
  readonly selfVersion: string;
  /** Wall clock, in ms. */
  readonly issuedAtMs: number;
  /** Wall clock, in ms. Moves when the identity is renewed. */
  readonly expiresAtMs: number;
  /** Who asked for the identity; undefined for one that the host made itself. */
  readonly peer: Peer | undefined;
  /** Undefined of a plugin that cannot declare, such as one of another implementation. */
  readonly declares: DeclaredServices | undefined;
  /** Aborts when the identity ends, with the `unauthenticated` that its open calls get. */
  readonly ended: AbortSignal;
  /**
   * Calls `listener` once when the identity ends, or at once if it has ended. Cheaper than a listener on `ended`.
   * Returns how to take the listener back.
   */
  onEnd(listener: (error: ConnectError) => void): () => void;
}

/** The verified runtime identity of the caller; set by `requireIdentity`. */
export const runtimeIdentityKey: ContextKey<RuntimeIdentity | undefined> = createContextKey<
  RuntimeIdentity | undefined
>(undefined, { description: "runtime identity of the caller" });
