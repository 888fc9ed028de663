import { Code, ConnectError } from "@connectrpc/connect";
import type { RuntimeIdentity } from "@cpg/core";
import type { CapabilityPolicy } from "./capability-policy.ts";

export interface DeclaredPolicyOptions {
  /**
   * Types of capabilities by self_id. What it says of a plugin is all that this one gets, whatever it declares; an empty
   * list is nothing. Default: it names none.
   */
  readonly allowed?: Readonly<Record<string, readonly string[]>> | undefined;
  /** A plugin that declares nothing, as one of another implementation, gets nothing. Default false: it gets all. */
  readonly strict?: boolean | undefined;
}

/** What counts for a decision. */
export interface DeclaredFacts {
  /** Whether the host's list has the type for this plugin; undefined when it does not name the plugin. */
  readonly listed: boolean | undefined;
  /** Whether the plugin declared to require the type; undefined when it declares nothing at all. */
  readonly declared: boolean | undefined;
  readonly strict: boolean;
}

/** Why not. */
export type DeclaredDenial = "unlisted" | "undeclared" | "strict";

/**
 * Decides by what the host listed and the plugin declared. Pure; undefined is a yes. The first row that fits:
 *
 * | listed | declared | strict | verdict            |
 * |--------|----------|--------|--------------------|
 * | yes    |          |        | allowed            |
 * | no     |          |        | denied: unlisted   |
 * |        | yes      |        | allowed            |
 * |        | no       |        | denied: undeclared |
 * |        | nothing  | yes    | denied: strict     |
 * |        | nothing  | no     | allowed            |
 */
export function decideDeclared({ listed, declared, strict }: DeclaredFacts): DeclaredDenial | undefined {
  if (listed !== undefined) return listed ? undefined : "unlisted";
  if (declared !== undefined) return declared ? undefined : "undeclared";
  return strict ? "strict" : undefined;
}

/**
 * The policy of a broker that names no other: a plugin gets what the host lists for its self_id; one that is not listed,
 * what it declared to require when it shook hands; one that declares nothing at all everything, unless the host is strict.
 * Declarations are the plugin's own word: they keep it from what it did not mean to use. What guards a capability is the
 * list, together with who is admitted under which self_id.
 * @throws {TypeError} naming the option.
 */
export function declaredPolicy(options: DeclaredPolicyOptions = {}): CapabilityPolicy {
  const { allowed = {}, strict = false } = options;
  if (typeof strict !== "boolean") throw new TypeError(`strict must be true or false, got ${typeof strict}`);
  if (typeof allowed !== "object" || allowed === null || Array.isArray(allowed)) {
    throw new TypeError("allowed must be an object of lists by self_id");
  }
  const lists = new Map<string, ReadonlySet<string>>();
  for (const [selfId, types] of Object.entries(allowed)) {
    if (!Array.isArray(types) || types.some((type) => typeof type !== "string")) {
      throw new TypeError(`allowed["${selfId}"] must be a list of capability types`);
    }
    lists.set(selfId, new Set(types));
  }
  return {
    allow(identity, { type }) {
      const denial = decideDeclared({
        listed: lists.get(identity.selfId)?.has(type),
        declared: requires(identity, type),
        strict,
      });
      if (denial === undefined) return true;
      const message = `policy: ${identity.selfId} may not use "${type}": ${explanations[denial]}`;
      throw new ConnectError(message, Code.PermissionDenied);
    },
  };
}

const explanations: Record<DeclaredDenial, string> = {
  unlisted: "it is not on this host's list for this plugin",
  undeclared: "it did not declare to require it",
  strict: "it did not declare to require it, and this host grants only what is declared",
};

function requires({ declares }: RuntimeIdentity, type: string): boolean | undefined {
  return declares?.requires.some((required) => required.type === type);
}
