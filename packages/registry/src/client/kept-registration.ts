import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { ServiceRegistry } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import type { LinkPauses } from "./link-pauses.ts";
import type { RegistryLink } from "./registry-link.ts";

/** A service that a plugin offers. */
export interface ServiceOffer {
  readonly type: string;
  /** Semantic version without build metadata. */
  readonly version: string;
  /** Where the plugin serves it: starts and ends with "/". */
  readonly path: string;
  /** URL under which the host reaches the plugin. Default: that of the registry client. */
  readonly baseUrl?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Share of calls under the weighted strategy, 0 to 100. Default 100. */
  readonly weight?: number | undefined;
  /** The registration ends unless it is made again within this time; the client sees to that. Default: no end of its own. */
  readonly leaseMs?: number | undefined;
  /** Secret of this instance, at least 32 characters, by which the host knows it again wherever it listens. Default: none. */
  readonly instanceKey?: string | undefined;
}

/** A registration that is made again whenever the host may have lost it. */
export interface KeptRegistration extends AsyncDisposable {
  /** Undefined while the host does not have it. */
  readonly registrationId: string | undefined;
  /** Takes it back; never fails: what the host does not hear, it will notice. Idempotent. */
  unregister(): Promise<void>;
}

export interface KeptRegistrationOptions {
  readonly offer: ServiceOffer;
  readonly registry: Client<typeof ServiceRegistry>;
  readonly link: Pick<RegistryLink, "identity" | "onIdentityChange">;
  readonly pauses: LinkPauses;
  /** Bound on each call, in ms. */
  readonly attemptMs: number;
  /** Hears that the host refuses what it had accepted, or may accept later. */
  onRefused(error: ConnectError): void;
  /** Called when it has been taken back. */
  onEnd(registration: KeptRegistration): void;
}

/** The host has looked at it, and said no: it will say so again. */
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
/** Without a lease: how often a refused one is offered again. */
const longestPauseMs = 24 * 60 * 60 * 1000;

/**
 * Registers, and keeps it so: again under each new identity, and before its lease ends.
 * @throws {ConnectError} when the host refuses the first attempt. The reason of `signal`, which bounds only that.
 */
export async function keepRegistered(options: KeptRegistrationOptions, signal: AbortSignal): Promise<KeptRegistration> {
  const { registry, link, pauses, attemptMs, onRefused, onEnd } = options;
  const request = requestOf(options.offer);
  const stopped = new AbortController();
  let registered: { readonly id: string; readonly runtimeId: string | undefined } | undefined;

  /** Resolves with the time after which it has to be made again, in ms. */
  const register = async (abort: AbortSignal): Promise<number> => {
    const runtimeId = link.identity?.runtimeId;
    const answer = await registry.registerService(request, { signal: abort, timeoutMs: attemptMs });
    registered = { id: answer.registrationId, runtimeId };
    pauses.reset();
    return answer.lease === undefined ? longestPauseMs : durationMs(answer.lease) * renewShare;
  };
  const unregister = async (id: string): Promise<void> => {
    try {
      await registry.unregisterService({ registrationId: id }, { timeoutMs: attemptMs });
    } catch {
      // The host is away, or has forgotten it.
    }
  };

  const first = async (): Promise<number> => {
    for (;;) {
      try {
        return await register(signal);
      } catch (reason) {
        signal.throwIfAborted();
        const error = ConnectError.from(reason);
        if (refusals.has(error.code)) throw error;
        await pauses.wait(signal);
      }
    }
  };
  const keep = async (firstDueMs: number): Promise<void> => {
    let dueMs = firstDueMs;
    for (;;) {
      await pauses.atMost(dueMs, stopped.signal);
      if (link.identity !== undefined && link.identity.runtimeId !== registered?.runtimeId) registered = undefined;
      try {
        dueMs = await register(stopped.signal);
      } catch (reason) {
        stopped.signal.throwIfAborted();
        const error = ConnectError.from(reason);
        if (refusals.has(error.code)) onRefused(error);
        dueMs = 0;
        await pauses.wait(stopped.signal);
      }
    }
  };

  const firstDueMs = await first();
  if (signal.aborted) {
    if (registered !== undefined) await unregister(registered.id);
    throw signal.reason;
  }
  const kept = keep(firstDueMs).catch(() => {}); // stopped, or the link is closed
  let ending: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    stopped.abort("unregistered");
    await kept;
    if (registered !== undefined) await unregister(registered.id);
    registered = undefined;
    onEnd(registration);
  };
  const registration: KeptRegistration = {
    get registrationId() {
      return registered?.id;
    },
    unregister() {
      ending ??= end();
      return ending;
    },
    [Symbol.asyncDispose]: () => registration.unregister(),
  };
  return registration;
}

function requestOf({ type, version, path, baseUrl, metadata, weight, leaseMs, instanceKey = "" }: ServiceOffer) {
  if (leaseMs !== undefined && !(Number.isSafeInteger(leaseMs) && leaseMs >= 1)) {
    throw new RangeError(`leaseMs must be a whole number from 1, got ${leaseMs}`);
  }
  return {
    serviceType: type,
    version,
    endpointPath: path,
    metadata: {
      ...metadata,
      ...(baseUrl === undefined ? {} : { base_url: baseUrl }),
      ...(weight === undefined ? {} : { weight: String(weight) }),
    },
    instanceKey,
    ...(leaseMs === undefined ? {} : { lease: durationFromMs(leaseMs) }),
  };
}
