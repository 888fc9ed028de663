import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createInbox } from "./inbox.ts";
import { createSendWindow, WINDOW_BYTES, WINDOW_MESSAGES } from "./stream-window.ts";

describe("a window and the inbox at its other end", () => {
  it("let a sender be ahead by the window at most, and never stop for good", () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 2 * WINDOW_BYTES }), { maxLength: 300 });
    const order = fc.infiniteStream(fc.boolean());
    fc.assert(
      fc.property(sizes, order, (messages, turns) => {
        const window = createSendWindow();
        const inbox = createInbox((count, bytes) => window.taken(count, bytes));
        const ahead: number[] = [];
        let sent = 0;
        let read = 0;
        let mostMessages = 0;
        let mostBytesBefore = 0; // before the last message
        for (const isSender of turns) {
          const isStopped = sent === messages.length || window.room() !== undefined;
          if (isStopped && ahead.length === 0) break; // at the end, as nothing else must stop both
          if (!isStopped && (isSender || ahead.length === 0)) {
            const size = messages[sent++] ?? 0;
            mostBytesBefore = Math.max(
              mostBytesBefore,
              ahead.reduce((sum, bytes) => sum + bytes, 0),
            );
            window.sent(size);
            inbox.push(new Uint8Array(size));
            mostMessages = Math.max(mostMessages, ahead.push(size));
          } else {
            void inbox.pull();
            ahead.shift();
            read++;
          }
        }
        expect(read).toBe(messages.length);
        expect(mostMessages).toBeLessThanOrEqual(WINDOW_MESSAGES);
        expect(mostBytesBefore).toBeLessThan(WINDOW_BYTES);
      }),
      { numRuns: 200, seed: 1 },
    );
  });
});

describe("createSendWindow", () => {
  it("wakes whoever waits when there is room, and when it is released", async () => {
    for (const wake of ["taken", "release"] as const) {
      const window = createSendWindow();
      for (let sent = 0; sent < WINDOW_MESSAGES; sent++) window.sent(1);
      const room = window.room();
      expect(room).toBeInstanceOf(Promise);
      if (wake === "taken") window.taken(1, 1);
      else window.release();
      await room;
      expect(window.room()).toBeUndefined();
    }
  });

  it("takes no more than was sent", () => {
    const window = createSendWindow();
    window.sent(10);
    expect(() => window.taken(2, 10)).toThrow(RangeError);
    expect(() => window.taken(1, 11)).toThrow(RangeError);
    window.taken(1, 10);
    expect(() => window.taken(1, 0)).toThrow(RangeError);
  });
});

describe("createInbox", () => {
  const open = () => createInbox(() => {});

  it("refuses what there is no room for, and what comes after the end", () => {
    const full = open();
    for (let pushed = 0; pushed < WINDOW_MESSAGES; pushed++) full.push(new Uint8Array());
    expect(() => full.push(new Uint8Array())).toThrow(RangeError);
    const ended = open();
    ended.end();
    expect(() => ended.push(new Uint8Array())).toThrow(TypeError);
  });

  it("hands over what had come before an error", async () => {
    const inbox = open();
    inbox.push(new Uint8Array(1));
    inbox.end(new Error("over"));
    expect(await inbox.pull()).toHaveLength(1);
    await expect(inbox.pull()).rejects.toThrow("over");
  });

  it("when its reader leaves, forgets what there is and drops what comes", async () => {
    const inbox = open();
    inbox.push(new Uint8Array(1));
    inbox.clear();
    inbox.push(new Uint8Array(1));
    expect(await inbox.pull()).toBeUndefined();
    const waiting = open();
    const read = waiting.pull();
    waiting.clear();
    expect(await read).toBeUndefined();
  });
});
