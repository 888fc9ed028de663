import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { type Change, createChangeFeed } from "../src/change-feed.ts";

const change = (key: string): Change => ({ key, value: new Uint8Array([1]) });

describe("a change feed", () => {
  it("gives each reader the changes under its prefix, in order, from the moment it follows", async () => {
    const feed = createChangeFeed();
    const abort = new AbortController();
    feed.publish(change("a.0"));
    const reader = feed.follow("a.", abort.signal);
    for (const key of ["a.1", "b.1", "a.2"]) feed.publish(change(key));
    abort.abort();
    const keys: string[] = [];
    for await (const { key } of reader) keys.push(key);
    expect(keys).toEqual(["a.1", "a.2"]);
  });

  it("cuts off a reader that falls too far behind, and nobody else", async () => {
    const feed = createChangeFeed({ maxBehind: 2 });
    const signal = new AbortController().signal;
    const slow = feed.follow("", signal)[Symbol.asyncIterator]();
    const other = feed.follow("b", signal)[Symbol.asyncIterator]();
    for (const key of ["a1", "a2", "a3", "b"]) feed.publish(change(key));
    await expect(slow.next()).resolves.toMatchObject({ value: { key: "a1" } });
    await expect(slow.next()).resolves.toMatchObject({ value: { key: "a2" } });
    await expect(slow.next()).rejects.toMatchObject({ code: Code.ResourceExhausted });
    await expect(other.next()).resolves.toMatchObject({ value: { key: "b" } });
  });

  it("takes so many readers, and a place that is left is free again", async () => {
    const feed = createChangeFeed({ maxReaders: 1 });
    const abort = new AbortController();
    feed.follow("", abort.signal);
    expect(() => feed.follow("", abort.signal)).toThrow(expect.objectContaining({ code: Code.ResourceExhausted }));
    abort.abort();
    expect(() => feed.follow("", new AbortController().signal)).not.toThrow();
  });

  it("ends its readers when it closes", async () => {
    const feed = createChangeFeed();
    const next = feed.follow("", new AbortController().signal)[Symbol.asyncIterator]().next();
    feed.close();
    await expect(next).rejects.toMatchObject({ code: Code.Unavailable });
  });
});
