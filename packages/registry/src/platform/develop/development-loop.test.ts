import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { createDevelopmentLoop } from "./development-loop.ts";

function scene() {
  const clock = new FakeClock();
  const ending = new AbortController();
  /** What each work was told, and how to end it. */
  const works: { files: readonly string[]; atMs: number; done(): void }[] = [];
  const loop = createDevelopmentLoop({
    clock,
    debounceMs: 100,
    signal: ending.signal,
    work(files) {
      const { promise, resolve } = Promise.withResolvers<void>();
      works.push({ files, atMs: clock.monotonic(), done: resolve });
      return promise;
    },
  });
  return { clock, ending, works, loop };
}

const end = new Error("the end");

describe("createDevelopmentLoop", () => {
  it("works once for changes that follow each other, when they have stopped", async () => {
    const { clock, works, loop } = scene();
    await clock.advance(1_000);
    loop.changed("a");
    await clock.advance(99);
    loop.changed("b");
    loop.changed("a");
    await clock.advance(99);
    expect(works).toEqual([]);
    await clock.advance(1);
    expect(works).toMatchObject([{ files: ["a", "b"], atMs: 1_199 }]);
  });

  it("works on one thing at a time, and exactly once more for all that changed meanwhile", async () => {
    const { clock, works, loop } = scene();
    loop.changed("a");
    await clock.advance(100);
    loop.changed("b");
    await clock.advance(1_000);
    loop.changed("c");
    await clock.advance(1_000);
    expect(works).toHaveLength(1);
    works[0]?.done();
    await clock.advance(99);
    expect(works).toHaveLength(1);
    await clock.advance(1);
    expect(works).toMatchObject([{}, { files: ["b", "c"] }]);
    works[1]?.done();
    await clock.advance(10_000);
    expect(works).toHaveLength(2);
  });

  it("does not wait for ever for what changes all the time", async () => {
    const { clock, works, loop } = scene();
    for (let ms = 0; ms <= 1_000; ms += 50) {
      loop.changed("log");
      await clock.advance(50);
    }
    expect(works).toMatchObject([{ atMs: 1_000 }]);
  });

  it("names no more than 100 files", async () => {
    const { clock, works, loop } = scene();
    for (let file = 0; file < 1_000; file++) loop.changed(`${file}`);
    await clock.advance(100);
    expect(works[0]?.files).toHaveLength(100);
  });

  it.each(["idle", "settling", "working"])("ends with its signal and leaves no timer: %s", async (when) => {
    const { clock, ending, works, loop } = scene();
    if (when !== "idle") loop.changed("a");
    if (when === "working") await clock.advance(100);
    let hasEnded = false;
    void loop.ended.then(() => {
      hasEnded = true;
    });
    ending.abort(end);
    await clock.advance(0);
    expect(hasEnded).toBe(when !== "working");
    works[0]?.done();
    await loop.ended;
    expect(clock.pending).toBe(0);
    loop.changed("b");
    await clock.advance(10_000);
    expect(works).toHaveLength(when === "working" ? 1 : 0);
  });
});
