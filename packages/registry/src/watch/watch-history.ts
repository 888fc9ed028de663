import { forgetBefore, type Topic, type ViewNode } from "./watch-topic.ts";

/** The latest changes of all service types that are watched, from which watches are resumed. */
export interface WatchHistory {
  add(topic: Topic, node: ViewNode): void;
}

/** Views of a type hold a reference to each of its providers: this many of them, beside the number of changes. */
const maxReferences = 100_000;

/** @param maxChanges how many are kept, of all types together. */
export function createWatchHistory(maxChanges: number): WatchHistory {
  /** In their order, from `first` on; what is before it is emptied. */
  let entries: ({ readonly topic: Topic; readonly node: ViewNode } | undefined)[] = [];
  let first = 0;
  let references = 0;

  const forgetOldest = (): void => {
    const oldest = entries[first];
    entries[first++] = undefined;
    if (oldest !== undefined) {
      references -= oldest.node.view.providers.length;
      forgetBefore(oldest.topic, oldest.node);
    }
    if (first > maxChanges) {
      entries = entries.slice(first);
      first = 0;
    }
  };

  return {
    add(topic, node) {
      entries.push({ topic, node });
      references += node.view.providers.length;
      while (entries.length - first > maxChanges || (references > maxReferences && first < entries.length)) {
        forgetOldest();
      }
    },
  };
}
