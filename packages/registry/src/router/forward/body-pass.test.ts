import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BodyPass } from "./body-pass.ts";

function setUp({ arrived = false, room = true } = {}) {
  const log: string[] = [];
  const state = { arrived, room };
  const pass = new BodyPass(
    {
      get arrived() {
        return state.arrived;
      },
      pause: () => void log.push("pause"),
      resume: () => void log.push("resume"),
    },
    {
      write(chunk) {
        log.push(`write ${chunk}`);
        return state.room;
      },
      end: (last, trailers) => void log.push(`end ${last ?? "-"} ${trailers.join("=")}`),
    },
  );
  return { log, state, pass, data: (text: string) => pass.data(Buffer.from(text)) };
}

/** All that came in one read has been looked at. */
const batch = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a body that is passed on", () => {
  it("whose only chunk comes with the end goes out in one", async () => {
    const { log, pass, data } = setUp({ arrived: true });
    data("all");
    await batch();
    pass.end([]);
    expect(log).toEqual(["end all "]);
  });

  it("whose first chunk is followed by its end in the same read goes out in one", async () => {
    const { log, state, pass, data } = setUp();
    data("all");
    state.arrived = true;
    await batch();
    pass.end([]);
    expect(log).toEqual(["end all "]);
  });

  it("goes on chunk by chunk, the first when its read is over", async () => {
    const { log, pass, data } = setUp();
    data("one");
    expect(log).toEqual([]);
    await batch();
    expect(log).toEqual(["write one"]);
    data("two");
    expect(log).toEqual(["write one", "write two"]);
    pass.end(["x", "1"]);
    expect(log).toEqual(["write one", "write two", "end - x=1"]);
  });

  it("without a byte ends", () => {
    const { log, pass } = setUp({ arrived: true });
    pass.end([]);
    expect(log).toEqual(["end - "]);
  });

  it("waits for its sink", async () => {
    const { log, state, pass, data } = setUp({ room: false });
    data("one");
    await batch();
    state.room = true;
    pass.drained();
    data("two");
    expect(log).toEqual(["write one", "pause", "resume", "write two"]);
  });

  it("that is stopped goes nowhere, and does not end", async () => {
    const { log, pass, data } = setUp();
    data("one");
    pass.stop();
    await batch();
    data("two");
    pass.drained();
    pass.end([]);
    expect(log).toEqual([]);
  });

  it("arrives whole and in order, whatever comes together", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("data" as const), text: fc.string({ minLength: 1, maxLength: 5 }) }),
      fc.record({ kind: fc.constant("batch" as const) }),
      fc.record({ kind: fc.constant("arrive" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        let received = "";
        let ends = 0;
        const source = { arrived: false, pause() {}, resume() {} };
        const pass = new BodyPass(source, {
          write(chunk) {
            received += chunk;
            return true;
          },
          end(last) {
            received += last ?? "";
            ends++;
          },
        });
        let sent = "";
        for (const { kind, ...rest } of steps) {
          if (kind === "batch") await batch();
          if (kind === "arrive") source.arrived = true;
          if ("text" in rest) {
            pass.data(Buffer.from(rest.text));
            sent += Buffer.from(rest.text).toString();
          }
        }
        source.arrived = true;
        pass.end([]);
        await batch();
        expect([received, ends]).toEqual([sent, 1]);
      }),
    );
  });
});
