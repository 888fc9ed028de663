import type { DeclaredServices, RuntimeIdentity } from "@cpg/core";
import { callListener } from "@cpg/core/extension";
import type { RegistryStore } from "../state/registry-store.ts";
import { accessDenied } from "./access-denied-error.ts";
import type { AccessPolicy, AccessRequest } from "./access-policy.ts";
import { type AccessRule, type AccessRuleFunction, compileRule } from "./access-rule.ts";
import { type AccessReason, decideAccess } from "./decide-access.ts";

/** One decision, told after it was made. */
export interface AccessDecision {
  readonly request: AccessRequest;
  readonly allowed: boolean;
  readonly reason: AccessReason;
  /** Name of the rule that decided, if one did. */
  readonly rule: string | undefined;
}

/** What the user of a host says about access. */
export interface AccessOptions {
  /**
   * Nothing is allowed that was not declared, and a type that has a provider takes none with another self_id. Default
   * false: a plugin that declares nothing, as an old one or one of another implementation, may do everything.
   */
  readonly strict?: boolean | undefined;
  /** The same for plugins that the host launched or attached, and for the types that they provide. Default true. */
  readonly strictForManaged?: boolean | undefined;
  /** What widens or narrows that. Their order has no meaning: one that denies beats all that allow. Default: none. */
  readonly rules?: readonly (AccessRule | AccessRuleFunction)[] | undefined;
  /** Hears of each decision, those on routed calls among them. What it throws goes to `onError`. Default: nobody. */
  readonly onDecision?: ((decision: AccessDecision) => unknown) | undefined;
}

export interface AccessPolicyOptions extends AccessOptions {
  readonly store: Pick<RegistryStore, "ofType" | "provider">;
  /** Whether the host launched or attached the plugin of this runtime id. Default: it has none of its own. */
  readonly isManaged?: ((runtimeId: string) => boolean) | undefined;
  /** What a plugin declared; undefined: nothing at all. Default: what it said when it shook hands. */
  readonly declarationsOf?: ((identity: RuntimeIdentity) => DeclaredServices | undefined) | undefined;
  /** Hears what rules and observers throw. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

interface Ruling {
  readonly effect: "allow" | "deny";
  readonly rule: string;
  readonly error?: unknown;
}

/**
 * Who may register, discover, watch and call what. A plugin may register the types and versions that it declared to
 * provide, and discover, watch and call the types that it declared to require; whoever declares nothing at all may do
 * everything, unless the host is strict. Rules come before that: what one denies is denied, as in Envoy's and Istio's
 * authorization, whatever others allow; else what one allows is allowed.
 * @throws {TypeError} naming the rule and the field.
 */
export function createAccessPolicy(options: AccessPolicyOptions): AccessPolicy {
  const { store, strict = false, strictForManaged = true, onDecision, onError = () => {} } = options;
  const { isManaged = () => false, declarationsOf = ({ declares }) => declares } = options;
  const rules = (options.rules ?? []).map((rule, index) => asRule(rule, `rules[${index}]`, onError));
  const declared = createDeclaredIndex();

  const rulingOn = (request: AccessRequest): Ruling | undefined => {
    let allowed: Ruling | undefined;
    for (const ask of rules) {
      const ruling = ask(request);
      if (ruling?.effect === "deny") return ruling;
      allowed ??= ruling;
    }
    return allowed;
  };

  const isTaken = ({ action, identity, type }: AccessRequest): boolean => {
    if (action !== "register") return false;
    let taken = false;
    for (const { providerId } of store.ofType(type)) {
      // Whoever has the type has it, also when somebody else was allowed to join.
      if (store.provider(providerId)?.selfId === identity.selfId) return false;
      taken ||= strict || (strictForManaged && isManaged(providerId));
    }
    return taken;
  };

  return {
    check(request) {
      const { identity } = request;
      const ruling = rulingOn(request);
      const declares = declarationsOf(identity);
      const { allowed, reason } = decideAccess({
        ruled: ruling?.effect,
        declared: declares && declared(declares, request),
        strict: strict || (strictForManaged && isManaged(identity.runtimeId)),
        taken: ruling === undefined && isTaken(request),
      });
      if (onDecision !== undefined) {
        const decision: AccessDecision = { request, allowed, reason, rule: ruling?.rule };
        callListener(() => onDecision(decision), onError);
      }
      if (!allowed) throw accessDenied(request, reason, ruling?.rule, ruling?.error);
    },
  };
}

type AskRule = (request: AccessRequest) => Ruling | undefined;

function asRule(rule: AccessRule | AccessRuleFunction, place: string, onError: (error: unknown) => void): AskRule {
  if (typeof rule === "function") return (request) => askFunction(rule, request, place, onError);
  if (typeof rule !== "object" || rule === null) throw new TypeError(`${place} must be an object or a function`);
  const { name, effect, fits } = compileRule(rule, place);
  const ruling: Ruling = { effect, rule: name };
  return (request) => (fits(request) ? ruling : undefined);
}

/** Nothing but a clear answer counts, whatever an untyped function returns. */
function askFunction(
  rule: AccessRuleFunction,
  request: AccessRequest,
  place: string,
  onError: (error: unknown) => void,
): Ruling | undefined {
  let error: unknown;
  try {
    const answer: unknown = rule(request);
    if (answer === undefined) return undefined;
    if (answer === "allow" || answer === "deny") return { effect: answer, rule: place };
    if (answer instanceof Promise) answer.catch(() => {}); // nobody else looks at it
    error = new TypeError(`${place} must answer "allow", "deny" or undefined at once`);
  } catch (reason) {
    error = reason;
  }
  callListener(
    () => onError(error),
    () => {},
  );
  return { effect: "deny", rule: place, error };
}

/** Whether a plugin declared what it asks for. Looked up in constant time: each routed call asks. */
function createDeclaredIndex(): (declares: DeclaredServices, request: AccessRequest) => boolean {
  const known = new WeakMap<DeclaredServices, { readonly provides: Set<string>; readonly requires: Set<string> }>();
  return (declares, { action, type, version }) => {
    let index = known.get(declares);
    if (index === undefined) {
      index = {
        provides: new Set(declares.provides.flatMap((service) => [service.type, `${service.type} ${service.version}`])),
        requires: new Set(declares.requires.map((service) => service.type)),
      };
      known.set(declares, index);
    }
    if (action !== "register") return index.requires.has(type);
    return index.provides.has(version === undefined ? type : `${type} ${version}`);
  };
}
