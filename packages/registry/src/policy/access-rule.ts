import type { AccessRequest } from "./access-policy.ts";

export type AccessAction = AccessRequest["action"];

/**
 * Widens or narrows what plugins may do. A rule speaks of the requests that fit all of its fields; a field that is left
 * out fits every request. Entries are whole names, or end in "*", which stands for any rest.
 *
 * A plugin is known by its self_id, which is the name that it gives itself: how far that is proven, admission decides.
 */
export interface AccessRule {
  readonly effect: "allow" | "deny";
  /** For those who observe decisions. Default: its place among the rules, such as "rules[2]". */
  readonly name?: string | undefined;
  /** Default: all; with `methods` or `exceptMethods`: discover, watch and call. */
  readonly actions?: readonly AccessAction[] | undefined;
  /** By self_id. */
  readonly plugins?: readonly string[] | undefined;
  readonly exceptPlugins?: readonly string[] | undefined;
  /** Service types. */
  readonly types?: readonly string[] | undefined;
  readonly exceptTypes?: readonly string[] | undefined;
  /**
   * Paths below the base_url of the provider, such as "/kv.v1.KV/Get" or "/kv.v1.KV/*". What is to be denied is compared
   * as the most lenient server would: without regard to case, escapes, parameters behind ";" and a last "/". Whoever may
   * call some method of a service may also discover and watch it.
   */
  readonly methods?: readonly string[] | undefined;
  readonly exceptMethods?: readonly string[] | undefined;
}

/** A rule in code. Undefined: it has no opinion. What it throws denies. */
export type AccessRuleFunction = (request: AccessRequest) => "allow" | "deny" | undefined;

/** A rule, checked and ready to be asked. */
export interface CompiledRule {
  readonly name: string;
  readonly effect: "allow" | "deny";
  fits(request: AccessRequest): boolean;
}

type Matcher = (text: string) => boolean;

const actions: readonly AccessAction[] = ["register", "discover", "watch", "call"];
const fields = [
  "effect",
  "name",
  "actions",
  "plugins",
  "exceptPlugins",
  "types",
  "exceptTypes",
  "methods",
  "exceptMethods",
];

/** @throws {TypeError} naming the rule and the field. */
export function compileRule(rule: AccessRule, place: string): CompiledRule {
  const { effect, name = place, methods, exceptMethods } = rule;
  const unknown = Object.keys(rule).find((field) => !fields.includes(field));
  // A misspelt field would make a rule that fits everything.
  if (unknown !== undefined) throw new TypeError(`${place} must not have a field "${unknown}"`);
  if (effect !== "allow" && effect !== "deny") throw new TypeError(`${place}.effect must be "allow" or "deny"`);
  const ofMethods = methods !== undefined || exceptMethods !== undefined;
  const applies = new Set(readActions(rule, place, ofMethods));
  const fitsPlugin = matcher(rule, "plugins", "exceptPlugins", place);
  const fitsType = matcher(rule, "types", "exceptTypes", place);
  const fitsMethod = methodMatcher(rule, place);

  return {
    name,
    effect,
    fits: ({ action, identity, type, method }) =>
      applies.has(action) &&
      fitsType(type) &&
      fitsPlugin(identity.selfId) &&
      // Without a method it is about the service as a whole: some method may be allowed, and not all of them denied.
      (action === "call" && method !== undefined ? fitsMethod(method) : !ofMethods || effect === "allow"),
  };
}

function readActions(rule: AccessRule, place: string, ofMethods: boolean): readonly AccessAction[] {
  const list = rule.actions ?? (ofMethods ? actions.filter((action) => action !== "register") : actions);
  if (list.length === 0 || list.some((action) => !actions.includes(action))) {
    throw new TypeError(`${place}.actions must hold at least one of ${actions.join(", ")}`);
  }
  if (ofMethods && list.includes("register")) throw new TypeError(`${place}: "register" has no methods`);
  return list;
}

type ListField = "plugins" | "types" | "methods";
type ExceptField = "exceptPlugins" | "exceptTypes" | "exceptMethods";

function matcher(rule: AccessRule, field: ListField, except: ExceptField, place: string): Matcher {
  const fits = readList(rule[field], `${place}.${field}`, exactly) ?? (() => true);
  const excepted = readList(rule[except], `${place}.${except}`, exactly) ?? (() => false);
  return (text) => fits(text) && !excepted(text);
}

/** In doubt it is denied: names to deny are compared leniently, names to allow exactly. */
function methodMatcher(rule: AccessRule, place: string): Matcher {
  const denies = rule.effect === "deny";
  for (const field of ["methods", "exceptMethods"] as const) {
    const bad = rule[field]?.find((entry) => !entry.startsWith("/") && entry !== "*");
    if (bad !== undefined) throw new TypeError(`${place}.${field} must hold paths that start with "/"`);
  }
  const fits = readList(rule.methods, `${place}.methods`, denies ? leniently : exactly) ?? (() => true);
  const excepted = readList(rule.exceptMethods, `${place}.exceptMethods`, denies ? exactly : leniently);
  return (method) => fits(method) && !excepted?.(method);
}

function readList(
  entries: readonly string[] | undefined,
  place: string,
  compare: (entry: string) => Matcher,
): Matcher | undefined {
  if (entries === undefined) return undefined;
  const isBad = (entry: unknown) => typeof entry !== "string" || entry === "" || entry.slice(0, -1).includes("*");
  if (entries.length === 0 || entries.some(isBad)) {
    throw new TypeError(`${place} must hold at least one name, each with at most one "*", at its end`);
  }
  const matchers = entries.map(compare);
  return (text) => matchers.some((matches) => matches(text));
}

function exactly(entry: string): Matcher {
  if (!entry.endsWith("*")) return (text) => text === entry;
  const prefix = entry.slice(0, -1);
  return (text) => text.startsWith(prefix);
}

function leniently(entry: string): Matcher {
  if (!entry.endsWith("*")) {
    const wanted = withSlash(lenientPath(entry));
    return (method) => withSlash(lenientPath(method)) === wanted;
  }
  const prefix = lenientPath(entry.slice(0, -1));
  return (method) => withSlash(lenientPath(method)).startsWith(prefix);
}

function withSlash(path: string): string {
  return path.endsWith("/") ? path : `${path}/`;
}

/** Routed paths are encoded at most a few times. */
const maxDecodings = 4;

function lenientPath(path: string): string {
  let text = path;
  try {
    for (let round = 0; round < maxDecodings && text.includes("%"); round++) text = decodeURIComponent(text);
  } catch {
    // A percent sign that begins no escape stands for itself.
  }
  return text.replace(/;[^/]*/g, "").toLowerCase();
}
