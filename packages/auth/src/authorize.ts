import type { Interceptor, StreamRequest, UnaryRequest } from "@connectrpc/connect";
import { type AuthContext, authKey } from "./auth-context.ts";
import { permissionDenied, unauthenticated } from "./auth-error.ts";

/** Whom a rule is about: this identity, or what a function says. */
export type IdentityMatch = string | ((identity: string) => boolean);

/** One rule. It applies to a call when everything that it names does. */
export interface AuthorizationRule {
  /** For the reports of decisions. */
  readonly name: string;
  /** Default "allow". */
  readonly effect?: "allow" | "deny" | undefined;
  /** "package.Service/Method", "package.Service/*", "package.*" or "*". Default: all. */
  readonly methods?: readonly string[] | undefined;
  /** Any of these. Default: whoever it is. */
  readonly identities?: readonly IdentityMatch[] | undefined;
  /**
   * Each of these claims has to be there: equal to the value, or a list that holds it; `scope`, as OAuth has it, may be a
   * text with the values between spaces; or what a function says of it. Default: none.
   */
  readonly claims?: Readonly<Record<string, string | number | boolean | ((claim: unknown) => boolean)>> | undefined;
  /** Also for calls of nobody, if it names no identities and claims. Default false. */
  readonly anonymous?: boolean | undefined;
}

/** What was decided about one call. */
export interface AuthorizationDecision {
  readonly allowed: boolean;
  /** Who; undefined: nobody. */
  readonly identity: string | undefined;
  readonly provider: string | undefined;
  /** "package.Service/Method". */
  readonly method: string;
  /** Name of the rule; undefined: none applied. */
  readonly rule: string | undefined;
}

export interface AuthorizeOptions {
  /** The first that applies decides. */
  readonly rules: readonly AuthorizationRule[];
  /** When none applies. "allow" is for somebody, never for nobody. Default "deny". */
  readonly otherwise?: "allow" | "deny" | undefined;
  /** Hears of every decision, before it takes effect. What it throws is dropped. Default: nobody. */
  readonly onDecision?: ((decision: AuthorizationDecision) => void) | undefined;
}

/**
 * Interceptor of a server, inside those that authenticate: lets calls through that the rules allow. Others end with
 * `permission_denied`, or with `unauthenticated` if nobody was proved. A rule whose function throws denies.
 * @throws {TypeError} for bad rules, naming rule and field.
 */
export function authorize(options: AuthorizeOptions): Interceptor {
  const { rules, otherwise = "deny", onDecision = () => {} } = options;
  if (otherwise !== "allow" && otherwise !== "deny") {
    throw new TypeError(`otherwise must be "allow" or "deny", got ${JSON.stringify(otherwise)}`);
  }
  const compiled = rules.map(compileRule);
  return (next) => (request) => {
    const auth = request.contextValues.get(authKey);
    const method = `${request.service.typeName}/${request.method.name}`;
    const rule = compiled.find(({ applies }) => applies(method, auth));
    const allowed = rule === undefined ? otherwise === "allow" && auth !== undefined : rule.allows(method, auth);
    try {
      onDecision({ allowed, identity: auth?.identity, provider: auth?.provider, method, rule: rule?.name });
    } catch {
      // Whoever listens has nobody else to tell either.
    }
    if (allowed) return next(request as UnaryRequest & StreamRequest);
    return Promise.reject(auth === undefined ? unauthenticated() : permissionDenied());
  };
}

interface CompiledRule {
  readonly name: string;
  applies(method: string, auth: AuthContext | undefined): boolean;
  allows(method: string, auth: AuthContext | undefined): boolean;
}

const methodPattern = /^(?:\*|[\w.]+\.\*|[\w.]+\/(?:\*|\w+))$/;

function compileRule(rule: AuthorizationRule, index: number): CompiledRule {
  const { name, effect = "allow", methods = ["*"], identities, claims, anonymous = false } = rule;
  if (typeof name !== "string" || name === "") throw new TypeError(`rules[${index}].name must not be empty`);
  if (effect !== "allow" && effect !== "deny") {
    throw new TypeError(`rule ${name}: effect must be "allow" or "deny", got ${JSON.stringify(effect)}`);
  }
  const malformed = methods.find((pattern) => !methodPattern.test(pattern));
  if (malformed !== undefined) {
    throw new TypeError(
      `rule ${name}: methods must be "package.Service/Method", "package.Service/*", "package.*" or "*", got ${JSON.stringify(malformed)}`,
    );
  }
  if (anonymous && (identities !== undefined || claims !== undefined)) {
    throw new TypeError(`rule ${name}: anonymous does not go with identities or claims`);
  }
  for (const [claim, value] of Object.entries(claims ?? {})) {
    // Undefined, of a setting that is missing, would match everybody who has no such claim.
    if (!["string", "number", "boolean", "function"].includes(typeof value)) {
      throw new TypeError(`rule ${name}: claims.${claim} must be a string, number, boolean or function`);
    }
  }
  const matches = (method: string, auth: AuthContext | undefined): boolean => {
    if (!methods.some((pattern) => coversMethod(pattern, method))) return false;
    if (auth === undefined) return anonymous || (effect === "deny" && identities === undefined && claims === undefined);
    return coversIdentity(identities, auth.identity) && coversClaims(claims, auth.claims);
  };
  return {
    name,
    applies(method, auth) {
      try {
        return matches(method, auth);
      } catch {
        return true; // and `allows` says no
      }
    },
    allows(method, auth) {
      try {
        return effect === "allow" && matches(method, auth);
      } catch {
        return false;
      }
    },
  };
}

function coversMethod(pattern: string, method: string): boolean {
  if (pattern === "*" || pattern === method) return true;
  return pattern.endsWith("*") && method.startsWith(pattern.slice(0, -1));
}

function coversIdentity(identities: readonly IdentityMatch[] | undefined, identity: string): boolean {
  if (identities === undefined) return true;
  return identities.some((match) => (typeof match === "string" ? match === identity : match(identity) === true));
}

function coversClaims(wanted: AuthorizationRule["claims"] = {}, claims: AuthContext["claims"]): boolean {
  return Object.entries(wanted).every(([name, value]) => {
    const claim = Object.hasOwn(claims, name) ? claims[name] : undefined;
    if (typeof value === "function") return value(claim) === true;
    if (Array.isArray(claim)) return claim.includes(value);
    if (claim === value) return true;
    // No other claim: in a text that somebody else has chosen, "Evil admin" is not "admin".
    return name === "scope" && typeof claim === "string" && claim.split(" ").includes(String(value));
  });
}
