import type { WatchHub, WatchOptions } from "../../src/watch/create-watch-hub.ts";
import type { ServiceView } from "../../src/watch/service-view.ts";
import type { ServiceWatch } from "../../src/watch/service-watch.ts";
import { basicsOf, shownView } from "./registry-model.ts";

/** Somebody who watches a type at its own speed, and writes down what it gets. */
export interface ModelWatcher {
  readonly type: string;
  readonly basics: boolean;
  /** Reads again as soon as it has an event; the others read when they are told to. */
  readonly eager: boolean;
  /** What was given and not taken yet. */
  readonly given: ServiceView[];
  /** Newest that was given since it began, or began anew. */
  last: ServiceView | undefined;
  /** Its part of what there is to be seen. */
  look(shown: string): string;
  /** Begins a read, unless one is under way. */
  read(): void;
  /** Reads until there is nothing more. */
  readAll(): Promise<void>;
  /** Leaves, and comes back with a cursor. */
  resume(after: WatchOptions["after"]): void;
  leave(): void;
}

/** Everything that happens by itself has happened. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function createModelWatcher(
  hub: WatchHub,
  options: Pick<ModelWatcher, "type" | "basics" | "eager">,
  onFailure: (reason: unknown) => void,
): ModelWatcher {
  const { type, basics, eager } = options;
  let watch: ServiceWatch = hub.watch(type, { basics });
  let reading = false;

  const watcher: ModelWatcher = {
    ...options,
    given: [],
    last: undefined,
    look: (shown) => (basics ? basicsOf(shown) : shown),
    read() {
      if (reading) return;
      reading = true;
      const current = watch;
      current.next().then(({ value }) => {
        if (current !== watch || value === undefined) return;
        reading = false;
        watcher.given.push(value);
        if (eager) watcher.read();
      }, onFailure);
    },
    async readAll() {
      let before = -1;
      while (watcher.given.length > before) {
        before = watcher.given.length;
        watcher.read();
        await settle();
      }
    },
    resume(after) {
      void watch.return();
      watch = hub.watch(type, { basics, after });
      reading = false;
    },
    leave() {
      void watch.return();
    },
  };
  return watcher;
}

export function shownTo(watcher: ModelWatcher, view: ServiceView): string {
  return watcher.look(shownView(view));
}
