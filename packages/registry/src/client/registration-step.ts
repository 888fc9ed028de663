import type { LinkIdentity } from "@cpg/core";

/** What a host holds for a plugin. */
export interface HeldRegistration {
  readonly id: string;
  /** Under which it was made. */
  readonly identity: LinkIdentity;
  /** When it has to be made again, on the monotonic clock. Infinity: it has no end of its own. */
  readonly renewAtMs: number;
  /** When to look whether the host still has it. Infinity: the link notices when not. */
  readonly checkAtMs: number;
}

export type RegistrationStep =
  | { readonly kind: "register" }
  /** Find out whether the host still has it. */
  | { readonly kind: "check" }
  | { readonly kind: "wait"; readonly ms: number };

/**
 * What a plugin that is linked does next about a registration. Pure.
 *
 * | held                       | when               | step                             |
 * |----------------------------|--------------------|----------------------------------|
 * | nothing                    |                    | register                         |
 * | under another identity     |                    | register                         |
 * | under this identity        | renewal is due     | register                         |
 * | under this identity        | only a check is due | check                           |
 * | under this identity        | neither            | wait until the earlier of them   |
 */
export function registrationStep(
  held: HeldRegistration | undefined,
  identity: LinkIdentity,
  nowMs: number,
): RegistrationStep {
  if (held === undefined || !sameIdentity(held.identity, identity)) return { kind: "register" };
  const { renewAtMs, checkAtMs } = held;
  if (renewAtMs <= nowMs) return { kind: "register" };
  if (checkAtMs <= nowMs) return { kind: "check" };
  return { kind: "wait", ms: Math.min(renewAtMs, checkAtMs) - nowMs };
}

export function sameIdentity(a: LinkIdentity, b: LinkIdentity): boolean {
  return a.runtimeId === b.runtimeId && a.hostUrl === b.hostUrl;
}
