import { type ProviderView, type ServiceView, sameBasics, sameView } from "./service-view.ts";
import type { Reader } from "./watch-reader.ts";

/** One state of a service type, linked to the one that followed it. Shared by all who watch the type. */
export interface ViewNode {
  readonly view: ServiceView;
  /** What a read gives, made once for all readers. */
  readonly result: IteratorYieldResult<ServiceView>;
  /** Looks other than the one before, to those who see only state and endpoint. */
  readonly newBasics: boolean;
  /** Undefined: this is the newest one, or what followed is forgotten. */
  next: ViewNode | undefined;
  forgotten: boolean;
}

/** Called with each state. */
export interface Follower {
  readonly basics: boolean;
  readonly listener: (view: ServiceView) => void;
  seen: ViewNode;
}

/** What is known of one service type that is or was watched. */
export interface Topic {
  readonly type: string;
  /** By registration id, in the order of their registration. */
  readonly providers: Map<string, ProviderView>;
  newest: ViewNode;
  /** Oldest one after which nothing is forgotten. */
  base: ViewNode;
  /** Open watches, of both kinds. */
  watches: number;
  /** Those of the readers that have read everything and wait; each knows its slot. */
  waiting: Reader[];
  readonly followers: Set<Follower>;
}

export function createTopic(providers: Map<string, ProviderView>, view: ServiceView): Topic {
  const first = createNode(view, true);
  return { type: view.type, providers, newest: first, base: first, watches: 0, waiting: [], followers: new Set() };
}

/** Makes a view the newest one of its topic. Undefined when it looks the same as the newest. */
export function append(topic: Topic, view: ServiceView): ViewNode | undefined {
  const before = topic.newest;
  if (sameView(before.view, view)) return undefined;
  const node = createNode(view, !sameBasics(before.view, view));
  before.next = node;
  topic.newest = node;
  return node;
}

/** Forgets what was before this node. */
export function forgetBefore(topic: Topic, node: ViewNode): void {
  // Cut off, so that a reader that stands still there does not hold all that came after.
  topic.base.next = undefined;
  topic.base.forgotten = true;
  topic.base = node;
}

/** The node that was the newest at a revision; undefined when that is forgotten. */
export function nodeAt(topic: Topic, revision: number): ViewNode | undefined {
  if (revision < topic.base.view.revision) return undefined;
  let node = topic.base;
  while (node.next !== undefined && node.next.view.revision <= revision) node = node.next;
  return node;
}

function createNode(view: ServiceView, newBasics: boolean): ViewNode {
  return { view, result: { done: false, value: view }, newBasics, next: undefined, forgotten: false };
}
