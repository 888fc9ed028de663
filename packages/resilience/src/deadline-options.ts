import type { DescMethod } from "@bufbuild/protobuf";
import { type Clock, systemClock } from "./clock.ts";

/** How long a call may take from its beginning to its end, whatever its kind. In ms; Infinity: no limit. */
export interface DeadlineLimits {
  /** For calls that come without a time-out. Greater than 0. Default no limit but `maxMs`. */
  readonly defaultMs?: number | undefined;
  /** For all calls. Greater than 0. Default no limit. */
  readonly maxMs?: number | undefined;
}

export interface DeadlineOptions extends DeadlineLimits {
  /**
   * Limits of their own for some methods, by name: "package.Service/Method", or "package.Service" for the others of a
   * service; or a function, asked once for each method. What they leave undefined is as above. Infinity lifts a limit,
   * which is for streams that are meant to stay open. Default none.
   */
  readonly methods?:
    | Readonly<Record<string, DeadlineLimits | undefined>>
    | ((method: DescMethod) => DeadlineLimits | undefined)
    | undefined;
  /** Default `systemClock`. */
  readonly clock?: Clock | undefined;
}

/** The limits of one method, checked. */
export interface MethodLimits {
  readonly defaultMs: number;
  readonly maxMs: number;
}

export interface DeadlineConfig {
  /** With a default of at most the maximum. @throws {RangeError} or {TypeError} for what a function of the user has returned. */
  limitsOf(method: DescMethod): MethodLimits;
  readonly clock: Clock;
}

/** @throws {RangeError} or {TypeError} naming the option. */
export function resolveDeadlineOptions(options: DeadlineOptions): DeadlineConfig {
  const common = resolveLimits(options, { defaultMs: Infinity, maxMs: Infinity }, "");
  const { methods = {}, clock = systemClock } = options;
  if (typeof clock?.sleep !== "function") throw new TypeError(`clock must be a Clock, got ${String(clock)}`);
  const known = new WeakMap<DescMethod, MethodLimits>();
  const look = typeof methods === "function" ? askUser(methods, common) : lookUp(methods, common);
  return {
    limitsOf(method) {
      let limits = known.get(method);
      if (limits === undefined) {
        const { defaultMs, maxMs } = look(method);
        limits = { defaultMs: Math.min(defaultMs, maxMs), maxMs };
        known.set(method, limits);
      }
      return limits;
    },
    clock,
  };
}

function askUser(ask: (method: DescMethod) => DeadlineLimits | undefined, common: MethodLimits) {
  return (method: DescMethod) => resolveLimits(ask(method) ?? {}, common, `methods(${nameOf(method)})`);
}

function lookUp(methods: Readonly<Record<string, DeadlineLimits | undefined>>, common: MethodLimits) {
  if (typeof methods !== "object" || methods === null) {
    throw new TypeError(`methods must be an object or a function, got ${String(methods)}`);
  }
  const limits = new Map<string, DeadlineLimits>();
  for (const [name, own] of Object.entries(methods)) {
    if (!/^[\w.]+(?:\/\w+)?$/.test(name)) {
      throw new TypeError(`methods must be named package.Service/Method or package.Service, got ${name}`);
    }
    if (own === undefined) continue;
    resolveLimits(own, common, `methods["${name}"]`);
    limits.set(name, own);
  }
  return (method: DescMethod): MethodLimits => {
    const ofService = resolveLimits(limits.get(method.parent.typeName) ?? {}, common, "");
    return resolveLimits(limits.get(nameOf(method)) ?? {}, ofService, "");
  };
}

function nameOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/** @param where the option that `limits` are, "" for the outermost. */
function resolveLimits(limits: DeadlineLimits, outer: MethodLimits, where: string): MethodLimits {
  if (typeof limits !== "object" || limits === null) {
    throw new TypeError(`${where || "options"} must be an object, got ${String(limits)}`);
  }
  const { defaultMs = outer.defaultMs, maxMs = outer.maxMs } = limits;
  for (const [name, ms] of Object.entries({ defaultMs, maxMs })) {
    const path = where === "" ? name : `${where}.${name}`;
    if (!(typeof ms === "number" && ms > 0)) throw new RangeError(`${path} must be greater than 0, got ${String(ms)}`);
  }
  return { defaultMs, maxMs };
}
