import { describe, expect, it } from "vitest";
import type { ProviderView, ServiceView } from "./service-view.ts";
import { createWatchHistory } from "./watch-history.ts";
import { append, createTopic, nodeAt, type Topic } from "./watch-topic.ts";

const provider: ProviderView = {
  providerId: "a",
  version: "1.0.0",
  endpointUrl: "/services/x/a",
  metadata: {},
  health: "healthy",
  reason: "",
  draining: false,
};

function view(revision: number, providers: number): ServiceView {
  const all = new Array<ProviderView>(providers).fill(provider);
  return {
    type: "x",
    state: "available",
    endpoint: provider,
    providers: all,
    revision,
    epoch: "e",
    restarted: false,
  };
}

/** Adds states with so many providers each; returns the first revision from which a watch can go on. */
function remembered(maxChanges: number, providers: readonly number[]): number {
  const history = createWatchHistory(maxChanges);
  const topic: Topic = createTopic(new Map(), view(0, 0));
  for (const [index, count] of providers.entries()) {
    const node = append(topic, view(index + 1, count));
    if (node !== undefined) history.add(topic, node);
  }
  return [...providers.keys()].findIndex((revision) => nodeAt(topic, revision) !== undefined);
}

describe("the history of watches", () => {
  it.each([
    ["all when there are few changes", 5, [1, 2, 3], 0],
    ["the last ones of many", 2, [1, 2, 3, 4, 5], 3],
    ["fewer when each has very many providers", 5, [50_000, 40_000, 10_000, 9_999, 1], 1],
    ["only the present when one has too many", 5, [1, 2, 100_001], -1],
    ["nothing when it may keep nothing", 0, [1, 2, 3], -1],
  ])("keeps %s", (_, maxChanges, providers, first) => {
    expect(remembered(maxChanges, providers)).toBe(first);
  });

  it("has room again for many when those with very many providers are forgotten", () => {
    expect(remembered(4, [100_000, 1, 2, 3, 4])).toBe(1);
  });

  it("does not hold what it has forgotten, even for who stands still there", () => {
    const history = createWatchHistory(1);
    const topic = createTopic(new Map(), view(0, 0));
    const first = topic.newest;
    for (let revision = 1; revision < 10; revision++) {
      const node = append(topic, view(revision, revision));
      if (node !== undefined) history.add(topic, node);
    }
    expect(first.next).toBeUndefined();
    expect(first.forgotten).toBe(true);
    expect(topic.base.next).toBe(topic.newest);
  });
});
