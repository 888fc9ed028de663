import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { within } from "@cpg/core/extension";
import type { Clock } from "@cpg/resilience";
import type { ServiceView } from "../watch/service-view.ts";
import { choosesProviders, type RegistryLink } from "./registry-link.ts";
import type { ServiceViews } from "./resumed-watch.ts";

/** The provider to which calls go for now. */
export interface ChosenProvider {
  readonly providerId: string;
  /** Path of the host below which it is called. */
  readonly endpointUrl: string;
}

export interface FollowedTransportOptions {
  readonly type: string;
  /** "": any. */
  readonly minVersion: string;
  readonly link: Pick<RegistryLink, "transportTo" | "hostMetadata" | "onIdentityChange">;
  readonly clock: Clock;
  /** A provider that fits, as the host sees it now. Takes a bounded time. */
  discover(): Promise<ChosenProvider>;
  watch(signal: AbortSignal): ServiceViews;
  /** Ends it: calls that begin later fail with the reason. */
  readonly closed: AbortSignal;
}

/** One answer of the host, which calls share. */
interface Lookup {
  readonly found: Promise<Place>;
  /** Set once it is there. */
  place: Place | undefined;
}

interface Place {
  readonly providerId: string;
  readonly transport: Transport;
}

/** What a call ends with when its provider is not there: other hosts answer with a plain 404, which is `unimplemented`. */
const goneCodes: ReadonlySet<Code> = new Set([Code.Unavailable, Code.NotFound, Code.Unimplemented]);

/**
 * Calls of one service type through the host. A host of ours chooses the provider of each call; with a least version, or
 * under another host, it is asked for a provider once, and again when the registry tells of a change, when the plugin gets
 * another identity, and after a call that found the provider gone. No call is sent twice.
 * @throws {TypeError} for a type that is no segment of a path.
 */
export function createFollowedTransport(options: FollowedTransportOptions): Transport {
  const { type, minVersion, link, clock, discover, watch, closed } = options;
  const chosenByHost = link.transportTo(`/services/${type}/-`);
  let current: Lookup | undefined;
  let isFollowing = false;

  const forget = (): void => {
    current = undefined;
  };
  const stopHearing = link.onIdentityChange(forget);
  closed.addEventListener("abort", stopHearing, { once: true });

  const follow = async (): Promise<void> => {
    if (isFollowing || closed.aborted) return;
    isFollowing = true;
    try {
      let isFirst = true;
      for await (const view of watch(closed)) {
        const place = current?.place;
        // The first tells what is, and whether that has changed since the host was asked.
        if (!isFirst || (place && !hasProvider(view, place.providerId))) forget();
        isFirst = false;
      }
    } catch {
      // Closed, or a host without watches: calls that fail tell, too.
    } finally {
      isFollowing = false;
    }
  };

  const ask = async (): Promise<Place> => {
    const { providerId, endpointUrl } = await discover();
    try {
      return { providerId, transport: link.transportTo(endpointUrl) };
    } catch (reason) {
      throw new ConnectError(`the host names no path to a provider of ${type}`, Code.Internal, undefined, [], reason);
    }
  };
  const lookUp = (): Lookup => {
    if (current !== undefined) return current;
    const lookup: Lookup = { found: ask(), place: undefined };
    current = lookup;
    lookup.found.then(
      (place) => {
        lookup.place = place;
        void follow();
      },
      () => drop(lookup),
    );
    return lookup;
  };
  /** What an older answer led to says nothing about a newer one. */
  const drop = (lookup: Lookup): void => {
    if (current === lookup) forget();
  };

  /** Several calls wait for one answer: one that gives up does not end it for the others. */
  const waitFor = async (found: Promise<Place>, signal: AbortSignal | undefined, boundMs: number): Promise<Place> => {
    const late = () => new ConnectError(`the host was too slow to find a provider of ${type}`, Code.DeadlineExceeded);
    try {
      return await within(clock, boundMs, () => found, late, signal);
    } catch (reason) {
      throw signal?.aborted ? ConnectError.from(signal.reason, Code.Canceled) : reason;
    }
  };
  /** Makes a call to the provider, in what is left of its time. */
  const send = async <T>(
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    call: (to: Transport, timeoutMs: number | undefined, onError: (reason: unknown) => void) => Promise<T>,
  ): Promise<T> => {
    closed.throwIfAborted();
    if (minVersion === "" && choosesProviders(link)) return await call(chosenByHost, timeoutMs, () => {});
    const lookup = lookUp();
    const onError = (reason: unknown): void => {
      if (goneCodes.has(ConnectError.from(reason).code)) drop(lookup);
    };
    // Not bounded, as Connect has it.
    const isUnbounded = timeoutMs === undefined || timeoutMs <= 0;
    const beganMs = clock.monotonic();
    const place =
      lookup.place ?? (await waitFor(lookup.found, signal, isUnbounded ? Number.POSITIVE_INFINITY : timeoutMs));
    const leftMs = isUnbounded ? timeoutMs : Math.max(1, Math.ceil(timeoutMs - (clock.monotonic() - beganMs)));
    try {
      return await call(place.transport, leftMs, onError);
    } catch (reason) {
      onError(reason);
      throw reason;
    }
  };

  return {
    unary: (method, signal, timeoutMs, header, input, values) =>
      send(signal, timeoutMs, (to, leftMs) => to.unary(method, signal, leftMs, header, input, values)),
    stream: (method, signal, timeoutMs, header, input, values) =>
      send(signal, timeoutMs, async (to, leftMs, onError) => {
        const response = await to.stream(method, signal, leftMs, header, input, values);
        // The errors of a stream come with its end.
        return { ...response, message: observed(response.message, onError) };
      }),
  };
}

function hasProvider({ providers }: ServiceView, providerId: string): boolean {
  return providers.some((other) => other.providerId === providerId && other.health !== "unhealthy" && !other.draining);
}

async function* observed<T>(
  messages: AsyncIterable<T>,
  onError: (reason: unknown) => void,
): AsyncGenerator<T, void, void> {
  try {
    yield* messages;
  } catch (reason) {
    onError(reason);
    throw reason;
  }
}
