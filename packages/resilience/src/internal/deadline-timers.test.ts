import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../testing/fake-clock.ts";
import { createDeadlineTimers, Expiring } from "./deadline-timers.ts";

class Deadline extends Expiring {
  readonly #onExpire: () => void;

  constructor(dueMs: number, onExpire: () => void) {
    super(dueMs);
    this.#onExpire = onExpire;
  }

  override expire(): void {
    this.#onExpire();
  }
}

const command = fc.oneof(
  fc.record({ kind: fc.constant("begin" as const), ms: fc.integer({ min: 0, max: 50 }) }),
  fc.record({ kind: fc.constant("end" as const), index: fc.nat(30) }),
  fc.record({ kind: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 30 }) }),
);

describe("createDeadlineTimers", () => {
  it("expires what has not ended, once, at its time, and keeps no timer for what has, in any order of events", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
        const clock = new FakeClock();
        const timers = createDeadlineTimers(clock);
        const begun: { readonly deadline: Deadline; ended: boolean; expiredMs: number | undefined }[] = [];
        const checkOpen = () => {
          const open = begun.filter(({ ended, expiredMs }) => !ended && expiredMs === undefined);
          expect(open.every(({ deadline }) => deadline.dueMs > clock.monotonic())).toBe(true);
          expect(clock.pending).toBe(open.length);
        };
        for (const step of commands) {
          if (step.kind === "begin") {
            const deadline = new Deadline(clock.monotonic() + step.ms, () => {
              expect([entry.ended, entry.expiredMs]).toEqual([false, undefined]);
              entry.expiredMs = clock.monotonic();
              timers.end(deadline);
            });
            const entry = { deadline, ended: false, expiredMs: undefined as number | undefined };
            begun.push(entry);
            timers.begin(deadline);
          } else if (step.kind === "end") {
            const entry = begun[step.index];
            if (entry === undefined) continue;
            timers.end(entry.deadline);
            entry.ended = entry.expiredMs === undefined;
          } else {
            await clock.advance(step.ms);
            checkOpen();
          }
        }
        await clock.advance(100);
        for (const { deadline, ended, expiredMs } of begun) expect(expiredMs).toBe(ended ? undefined : deadline.dueMs);
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });
});
