import { Code, ConnectError } from "@connectrpc/connect";
import { callListener } from "@cpg/core/extension";
import { retryLater } from "@cpg/resilience";
import type { Registration } from "../state/registration.ts";
import type { RegistryStore, RevisedChange } from "../state/registry-store.ts";
import { type ProviderView, providerView, type ServiceView, serviceView } from "./service-view.ts";
import { createServiceWatch, type ServiceWatch } from "./service-watch.ts";
import { createWatchHistory } from "./watch-history.ts";
import { type Reader, wakeReaders } from "./watch-reader.ts";
import { append, createTopic, type Follower, nodeAt, type Topic } from "./watch-topic.ts";

export interface WatchHubOptions {
  readonly store: RegistryStore;
  readonly limits?: WatchLimits | undefined;
  /** Hears what listeners of `follow` throw. Default: nobody. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

export interface WatchLimits {
  /** Watches of one identity at a time. Whole number from 1. Default 100. */
  readonly watchesPerIdentity?: number | undefined;
  /** Watches in all. Whole number from 1. Default 20 000. */
  readonly watches?: number | undefined;
  /** Changes kept for watches that are resumed, of all service types together. Whole number from 0. Default 1 000. */
  readonly history?: number | undefined;
}

export interface WatchOptions {
  /** Ends the watch; the read that waits rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Whose watch it is, for the limit of each. Default: the host's own, with no limit but that of all. */
  readonly holder?: string | undefined;
  /** Goes on after what was seen last. Default: a new watch, which begins with the present state. */
  readonly after?: { readonly revision: number; readonly epoch: string } | undefined;
  /** Tells only what changes the state or the preferred endpoint. Default false: every change of every provider. */
  readonly basics?: boolean | undefined;
}

/** Tells everybody who wants to know what becomes of service types. */
export interface WatchHub {
  /** Watches that are open. */
  readonly size: number;
  /** The present state of a type; also of one that nobody provides. */
  view(type: string): ServiceView;
  /**
   * Watches a type. It begins with the first read, which fails with `resource_exhausted` when there are too many.
   * Whoever leaves without reading to the end calls `return`, as a loop does, or aborts the signal.
   */
  watch(type: string, options?: WatchOptions): ServiceWatch;
  /**
   * Calls `listener` with the present state, and with every later one as it comes. What it throws goes to `onError`.
   * Returns how to stop. @throws {ConnectError} `resource_exhausted`.
   */
  follow(type: string, listener: (view: ServiceView) => void, options?: Pick<WatchOptions, "basics">): () => void;
  /** Ends the watches that have a holder, with this error; there are no new ones of theirs afterwards. */
  endHeld(error: ConnectError): void;
  /** Ends all watches with `unavailable`; there are no new ones afterwards. Idempotent. */
  close(): void;
}

/** When there is room for another watch, nobody knows. */
const retryAfterMs = 5_000;
/** Types that were watched and are no longer: their history is kept for those who come back. */
const maxIdleTopics = 1_000;

/**
 * Watches over a registry. A watch costs a cursor into a log that all share, however far behind its reader is.
 * @throws {RangeError} naming the limit.
 */
export function createWatchHub({ store, limits, onError = () => {} }: WatchHubOptions): WatchHub {
  const { watchesPerIdentity, watches, history: maxChanges } = resolveLimits(limits);
  const history = createWatchHistory(maxChanges);
  const topics = new Map<string, Topic>();
  /** Topics without watches, the longest idle first. */
  const idle = new Map<string, Topic>();
  const held = new Map<string, number>();
  const open = new Map<Reader, { readonly holder: string | undefined; end(error: Error): void }>();
  let followers = 0;
  let closed: ConnectError | undefined;
  let closedToHolders: ConnectError | undefined;

  const providersOf = (type: string): Map<string, ProviderView> => {
    const providers = new Map<string, ProviderView>();
    for (const registration of store.ofType(type)) {
      const view = providerView(registration, store.provider(registration.providerId));
      if (view !== undefined) providers.set(registration.id, view);
    }
    return providers;
  };
  const publish = (topic: Topic): void => {
    const node = append(topic, serviceView(topic.type, topic.providers.values(), store));
    if (node === undefined) return;
    history.add(topic, node);
    wakeReaders(topic);
    for (const follower of topic.followers) {
      // One that came while this was told has seen it.
      if (follower.seen === node) continue;
      follower.seen = node;
      if (!follower.basics || node.newBasics) tell(follower, node.view);
    }
  };
  const report = (error: unknown): void =>
    callListener(
      () => onError(error),
      () => {},
    );
  /** As `callListener`, which would make a closure for each. */
  const tell = ({ listener }: Follower, view: ServiceView): void => {
    try {
      const result: unknown = listener(view);
      if (result instanceof Promise) result.catch(report);
    } catch (error) {
      report(error);
    }
  };
  /** Topics that a change is about, and that were not published since. */
  const stale = new Set<Topic>();
  const forgetChanges = store.onChange((change) => {
    for (const { id, type } of registrationsOf(change, store)) {
      const topic = topics.get(type);
      if (topic === undefined) continue;
      const registration = store.registration(id);
      const view = providerView(registration, registration && store.provider(registration.providerId));
      if (view === undefined) topic.providers.delete(id);
      else topic.providers.set(id, view);
      stale.add(topic);
    }
    // Changes that were made together are seen together: the others of them are still to be told.
    if (change.revision < store.revision) return;
    for (const topic of stale) {
      stale.delete(topic);
      publish(topic);
    }
  });

  const enter = (type: string, holder: string | undefined): Topic => {
    const refusal = closed ?? (holder === undefined ? undefined : closedToHolders);
    if (refusal !== undefined) throw refusal;
    if (open.size + followers >= watches) throw tooMany(`this registry can have ${watches} watches, and has`);
    const own = holder === undefined ? 0 : (held.get(holder) ?? 0);
    if (own >= watchesPerIdentity) throw tooMany(`one plugin can have ${watchesPerIdentity} watches, and has`);
    if (holder !== undefined) held.set(holder, own + 1);
    const topic = topics.get(type) ?? newTopic(type);
    idle.delete(type);
    topic.watches++;
    return topic;
  };
  const newTopic = (type: string): Topic => {
    const providers = providersOf(type);
    const topic = createTopic(providers, serviceView(type, providers.values(), store));
    topics.set(type, topic);
    return topic;
  };
  const leave = (topic: Topic, holder: string | undefined): void => {
    const own = holder === undefined ? 0 : (held.get(holder) ?? 0);
    if (holder !== undefined && own <= 1) held.delete(holder);
    else if (holder !== undefined) held.set(holder, own - 1);
    topic.watches--;
    if (topic.watches > 0) return;
    idle.set(topic.type, topic);
    const [longest] = idle.size > maxIdleTopics ? idle.keys() : [];
    if (longest === undefined) return;
    idle.delete(longest);
    topics.delete(longest);
  };

  return {
    get size() {
      return open.size + followers;
    },
    view: (type) => serviceView(type, providersOf(type).values(), store),
    watch(type, { signal, holder, after, basics = false } = {}) {
      const watch = createServiceWatch({
        signal,
        open() {
          const topic = enter(type, holder);
          const isKnown = after?.epoch === store.epoch && after.revision <= store.revision;
          const seen = isKnown ? nodeAt(topic, after.revision) : undefined;
          const reader: Reader = {
            topic,
            basics,
            seen,
            replaying: seen !== undefined,
            restarted: after !== undefined && seen === undefined,
            slot: -1,
            wake: undefined,
          };
          open.set(reader, { holder, end: watch.end });
          return reader;
        },
        close(reader) {
          open.delete(reader);
          leave(reader.topic, holder);
        },
      });
      return watch;
    },
    follow(type, listener, { basics = false } = {}) {
      const topic = enter(type, undefined);
      const follower: Follower = { basics, listener, seen: topic.newest };
      topic.followers.add(follower);
      followers++;
      tell(follower, topic.newest.view);
      return () => {
        if (!topic.followers.delete(follower)) return;
        followers--;
        leave(topic, undefined);
      };
    },
    endHeld(error) {
      closedToHolders ??= error;
      for (const { holder, end } of [...open.values()]) if (holder !== undefined) end(error);
    },
    close() {
      if (closed !== undefined) return;
      closed = new ConnectError("the registry is closed", Code.Unavailable);
      forgetChanges();
      for (const { end } of [...open.values()]) end(closed);
      topics.clear();
      idle.clear();
    },
  };
}

/** The registrations that a change is about. */
function registrationsOf(change: RevisedChange, store: RegistryStore): readonly Registration[] {
  switch (change.type) {
    case "registered":
    case "updated":
    case "unregistered":
      return [change.registration];
    case "provider-changed":
      return store.ofProvider(change.provider.id);
    case "provider-added":
    case "provider-removed":
      return [];
  }
}

function resolveLimits({ watchesPerIdentity = 100, watches = 20_000, history = 1_000 }: WatchLimits = {}) {
  for (const [name, value] of Object.entries({ watchesPerIdentity, watches, history })) {
    const min = name === "history" ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < min) {
      throw new RangeError(`limits.${name} must be a whole number from ${min}, got ${value}`);
    }
  }
  return { watchesPerIdentity, watches, history };
}

function tooMany(message: string): ConnectError {
  return retryLater(message, Code.ResourceExhausted, retryAfterMs);
}
