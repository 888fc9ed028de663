import { expect, it } from "vitest";
import { KeptBody } from "./kept-body.ts";

const maxKeptBytes = 64 * 1024;

it("a body is kept whole up to the limit, and not at all beyond it", () => {
  const kept = new KeptBody();
  expect([kept.whole, kept.chunks.length]).toEqual([true, 0]);
  kept.add(Buffer.alloc(maxKeptBytes - 1));
  kept.add(Buffer.alloc(1));
  expect([kept.whole, kept.chunks.length]).toEqual([true, 2]);
  kept.add(Buffer.alloc(1));
  expect([kept.whole, kept.chunks.length]).toEqual([false, 0]);
  kept.add(Buffer.alloc(1));
  expect([kept.whole, kept.chunks.length]).toEqual([false, 0]);
});

it("nothing is kept of a body that will not be sent again", () => {
  const kept = new KeptBody();
  kept.add(Buffer.alloc(1));
  kept.forget();
  kept.add(Buffer.alloc(1));
  expect([kept.whole, kept.chunks.length]).toEqual([false, 0]);
});
