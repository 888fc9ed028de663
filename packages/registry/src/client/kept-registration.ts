import { durationMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { LinkIdentity } from "@cpg/core";
import type { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import type { Clock } from "@cpg/resilience";
import type { LinkPauses } from "./link-pauses.ts";
import { type HeldRegistration, registrationStep, sameIdentity } from "./registration-step.ts";
import { type RegistryLink, tracksIdentities } from "./registry-link.ts";
import { offerToWire, type ServiceOffer } from "./service-offer.ts";

/** A registration that is made again whenever the host may have lost it. */
export interface KeptRegistration extends AsyncDisposable {
  /** Undefined while the host does not have it, as far as is known. */
  readonly registrationId: string | undefined;
  /**
   * Takes it back, within the bound of a call. Never fails: a host that is away is told when it is back, as long as the
   * link lives and it still knows this identity. Idempotent.
   */
  unregister(): Promise<void>;
}

export interface KeptRegistrationOptions {
  readonly offer: ServiceOffer;
  readonly registry: Client<typeof ServiceRegistry>;
  readonly link: Pick<RegistryLink, "identity" | "hostMetadata" | "onIdentityChange">;
  readonly pauses: LinkPauses;
  readonly clock: Clock;
  /** Metadata that tells where the plugin is; read for each registration. */
  place(): Readonly<Record<string, string>>;
  /** Bound on each call, in ms. */
  readonly attemptMs: number;
  /** Time between two looks at a host that does not track identities, in ms. */
  readonly checkMs: number;
  /** Hears that the host refuses what it had accepted before. */
  onRefused(error: ConnectError): void;
  /** Called when it has been taken back. */
  onEnd(registration: KeptRegistration): void;
}

export interface BegunRegistration {
  readonly registration: KeptRegistration;
  /** Why the host has not taken it yet. */
  readonly lastError: ConnectError | undefined;
  /**
   * Resolves when the host has it for the first time.
   * @throws {ConnectError} what the host refuses; `unavailable` when the link is closed; `canceled` once it is taken back.
   */
  readonly accepted: Promise<void>;
}

/** The host has looked at it and said no: soon it will say the same. */
const refusals: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.PermissionDenied,
  Code.FailedPrecondition,
  Code.AlreadyExists,
  Code.NotFound,
  Code.Unimplemented,
]);
/** A lease is renewed after this part of it, so that two attempts may fail. */
const renewShare = 1 / 3;
/** However short the leases of a host are, it is not asked in a loop. */
const minRenewMs = 100;

/**
 * Registers, and keeps it so: again under each new identity, before its lease ends, and when a host that does not track
 * identities turns out to have forgotten it. Calls are not cut off but waited for, so that nothing stays registered of
 * which nobody knows. What comes next is `registrationStep`.
 */
export function keepRegistered(options: KeptRegistrationOptions): BegunRegistration {
  const { offer, registry, link, pauses, clock, place, attemptMs, checkMs, onRefused, onEnd } = options;
  const stopping = new AbortController();
  const { promise: accepted, resolve: accept, reject: refuse } = Promise.withResolvers<void>();
  accepted.catch(() => {}); // whoever waits gets it
  let held: HeldRegistration | undefined;
  let isAccepted = false;
  let lastError: ConnectError | undefined;

  const register = async (identity: LinkIdentity): Promise<void> => {
    const former = held;
    const { registrationId, lease } = await registry.registerService(offerToWire(offer, place()), {
      timeoutMs: attemptMs,
    });
    const nowMs = clock.monotonic();
    held = {
      id: registrationId,
      identity,
      renewAtMs: nowMs + (lease === undefined ? Number.POSITIVE_INFINITY : renewAfter(durationMs(lease))),
      checkAtMs: nowMs + (tracksIdentities(link) ? Number.POSITIVE_INFINITY : checkMs),
    };
    isAccepted = true;
    accept();
    // Other hosts than ours keep what was registered before, beside it.
    if (former !== undefined && former.id !== registrationId) await takeBack(former);
  };
  const check = async (now: HeldRegistration): Promise<void> => {
    held = { ...now, checkAtMs: clock.monotonic() + checkMs };
    try {
      await registry.discoverService({ serviceType: offer.type }, { timeoutMs: attemptMs });
    } catch (reason) {
      const { code } = ConnectError.from(reason);
      if (code === Code.NotFound) held = { ...now, renewAtMs: clock.monotonic() };
      else if (!refusals.has(code)) throw reason;
    }
  };

  const step = async (signal: AbortSignal): Promise<void> => {
    await pauses.whenUp(signal);
    const { identity } = link;
    if (identity === undefined) throw new ConnectError("the link to the host went down", Code.Unavailable);
    const next = registrationStep(held, identity, clock.monotonic());
    if (next.kind === "wait") return await pauses.atMost(next.ms, signal);
    if (next.kind === "check" && held !== undefined) await check(held);
    else await register(identity);
    lastError = undefined;
    pauses.reset();
  };
  const keep = async (signal: AbortSignal): Promise<never> => {
    for (;;) {
      try {
        await step(signal);
      } catch (reason) {
        signal.throwIfAborted();
        lastError = ConnectError.from(reason);
        const isRefused = refusals.has(lastError.code);
        if (isRefused && !isAccepted) throw lastError;
        if (isRefused) onRefused(lastError);
        await pauses.retry(signal);
      }
    }
  };
  // Stopped, refused, or the link is closed.
  const kept = keep(stopping.signal).catch(refuse);

  /** Whether the host has heard it, or has nothing to hear. */
  const takeBack = async ({ id, identity }: HeldRegistration): Promise<boolean> => {
    const isMine = link.identity !== undefined && sameIdentity(link.identity, identity);
    if (!isMine && tracksIdentities(link)) return true;
    try {
      await registry.unregisterService({ registrationId: id }, { timeoutMs: attemptMs });
      return true;
    } catch (reason) {
      return refusals.has(ConnectError.from(reason).code);
    }
  };
  const takeBackLater = async (last: HeldRegistration): Promise<void> => {
    const { signal } = new AbortController();
    do {
      await pauses.retry(signal);
    } while (!(await takeBack(last)));
  };
  let ending: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    stopping.abort(new ConnectError(`the offer of ${offer.type} was taken back`, Code.Canceled));
    await kept;
    const last = held;
    held = undefined;
    if (last !== undefined && !(await takeBack(last))) takeBackLater(last).catch(() => {}); // the link is closed
    onEnd(registration);
  };
  const registration: KeptRegistration = {
    get registrationId() {
      if (held === undefined || link.identity === undefined) return undefined;
      return sameIdentity(held.identity, link.identity) ? held.id : undefined;
    },
    unregister() {
      ending ??= end();
      return ending;
    },
    [Symbol.asyncDispose]: () => registration.unregister(),
  };
  return {
    registration,
    accepted,
    get lastError() {
      return lastError;
    },
  };
}

function renewAfter(leaseMs: number): number {
  return Math.max(leaseMs * renewShare, minRenewMs);
}
