import { type ServiceView, sameBasics, sameView } from "./service-view.ts";
import type { Topic, ViewNode } from "./watch-topic.ts";

/** One reader of a topic: how far it is, and what it waits with. It holds no events: those are the topic's. */
export interface Reader {
  readonly topic: Topic;
  /** Sees only state and endpoint. */
  readonly basics: boolean;
  /** What it was given last, or what looks the same to it. Undefined: nothing yet. */
  seen: ViewNode | undefined;
  /** Goes through what it missed, one by one; else it gets the newest. */
  replaying: boolean;
  /** Has to be told that changes may be missing. */
  restarted: boolean;
  /** Its place among those who wait; -1 when it does not. */
  slot: number;
  /** Settles the read that waits. */
  wake: ((result: IteratorResult<ServiceView, undefined>) => void) | undefined;
}

/**
 * The next event of a reader, or undefined when it has to wait for one. Never one that looks like the one before it.
 *
 * | reader    | what is new            | gets                       | then      |
 * |-----------|------------------------|----------------------------|-----------|
 * | new       | -                      | the newest                 | following |
 * | replaying | something it missed    | the oldest of that         | replaying |
 * | replaying | nothing                | -                          | following |
 * | replaying | what follows is gone   | the newest, as "restarted" | following |
 * | following | the newest is another  | the newest                 | following |
 * | following | nothing                | -                          | following |
 */
export function nextEvent(reader: Reader): IteratorYieldResult<ServiceView> | undefined {
  const { topic, basics } = reader;
  while (reader.replaying && reader.seen !== undefined) {
    const { next, forgotten } = reader.seen;
    if (forgotten && next === undefined) {
      reader.restarted = true;
      reader.seen = undefined;
    }
    if (next === undefined) {
      reader.replaying = false;
      break;
    }
    reader.seen = next;
    if (!basics || next.newBasics) return next.result;
  }

  const { seen } = reader;
  const { newest } = topic;
  if (seen === newest) return undefined;
  reader.seen = newest;
  if (reader.restarted) {
    reader.restarted = false;
    return { done: false, value: { ...newest.view, restarted: true } };
  }
  return seen === undefined || isNews(seen, newest, basics) ? newest.result : undefined;
}

/** Puts a reader among those who wait. */
export function park(reader: Reader): void {
  const { waiting } = reader.topic;
  reader.slot = waiting.length;
  waiting.push(reader);
}

/** Takes a reader out of those who wait, if it does. */
export function unpark(reader: Reader): void {
  if (reader.slot < 0) return;
  const { waiting } = reader.topic;
  const last = waiting.pop();
  if (last !== undefined && last !== reader) {
    waiting[reader.slot] = last;
    last.slot = reader.slot;
  }
  reader.slot = -1;
}

/** Gives everybody who waits what is new. */
export function wakeReaders(topic: Topic): void {
  const { waiting } = topic;
  topic.waiting = [];
  for (const reader of waiting) {
    reader.slot = -1;
    const event = nextEvent(reader);
    if (event === undefined) {
      park(reader);
    } else {
      const { wake } = reader;
      reader.wake = undefined;
      wake?.(event);
    }
  }
}

function isNews(seen: ViewNode, newest: ViewNode, basics: boolean): boolean {
  if (seen.next === newest) return !basics || newest.newBasics;
  return basics ? !sameBasics(seen.view, newest.view) : !sameView(seen.view, newest.view);
}
