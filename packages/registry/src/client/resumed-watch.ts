import { Code, ConnectError } from "@connectrpc/connect";
import type { WatchServiceEvent, WatchServiceRequest } from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { type ServiceView, sameBasics, sameView } from "../watch/service-view.ts";
import type { LinkPauses } from "./link-pauses.ts";
import { viewFromWire } from "./view-from-wire.ts";

type WatchOrder = Pick<WatchServiceRequest, "serviceType" | "allProviders" | "afterRevision" | "epoch">;

export interface ResumedWatchOptions {
  readonly type: string;
  /** Opens the stream at the host. */
  open(order: WatchOrder, signal: AbortSignal): AsyncIterable<WatchServiceEvent>;
  readonly pauses: LinkPauses;
  readonly signal?: AbortSignal | undefined;
}

export type ServiceViews = AsyncIterableIterator<ServiceView, undefined, void>;

/** Another try will not help. */
const final: ReadonlySet<Code> = new Set([Code.InvalidArgument, Code.PermissionDenied, Code.Unimplemented]);

/**
 * Watches a service type over any number of streams: when one breaks, the next goes on after the last event. What was told
 * is not told again. A host that could not go on where the last stream ended says so, and the view has `restarted`.
 * @throws {ConnectError} what the host refuses for good; `unavailable` when it will not come back. The reason of `signal`.
 */
export function resumedWatch(options: ResumedWatchOptions): ServiceViews {
  const left = new AbortController();
  const { signal } = options;
  const leave = (): void => left.abort(signal?.reason);
  if (signal?.aborted) leave();
  else signal?.addEventListener("abort", leave, { once: true });
  const views = follow(options, left.signal);
  const done = async (): Promise<IteratorReturnResult<undefined>> => {
    signal?.removeEventListener("abort", leave);
    left.abort("its reader has left");
    // The generator ends by itself then; its own `return` would wait for the read that is under way.
    return { done: true, value: undefined };
  };
  const iterator: ServiceViews = {
    [Symbol.asyncIterator]: () => iterator,
    async next() {
      if (left.signal.aborted && !signal?.aborted) return { done: true, value: undefined };
      try {
        const result = await views.next();
        if (result.done) signal?.removeEventListener("abort", leave);
        return result;
      } catch (reason) {
        signal?.removeEventListener("abort", leave);
        if (signal?.aborted) throw signal.reason;
        if (left.signal.aborted) return { done: true, value: undefined };
        throw reason;
      }
    },
    return: done,
  };
  return iterator;
}

async function* follow(
  { type, open, pauses }: ResumedWatchOptions,
  signal: AbortSignal,
): AsyncGenerator<ServiceView, undefined, void> {
  let seen: ServiceView | undefined;
  for (;;) {
    signal.throwIfAborted();
    try {
      const order = {
        serviceType: type,
        allProviders: true,
        afterRevision: BigInt(seen?.revision ?? 0),
        epoch: seen?.epoch ?? "",
      };
      for await (const event of open(order, signal)) {
        const view = viewFromWire(type, event);
        // A host that cannot resume begins with what may be known already.
        const isKnown = seen !== undefined && !view.restarted && sameBasics(seen, view) && sameView(seen, view);
        seen = view;
        if (isKnown) continue;
        pauses.reset(); // not before there is news: a host may end each stream after its first event
        yield view;
      }
    } catch (reason) {
      signal.throwIfAborted();
      if (final.has(ConnectError.from(reason).code)) throw reason;
    }
    await pauses.retry(signal);
  }
}
