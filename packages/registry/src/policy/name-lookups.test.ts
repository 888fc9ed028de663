import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { boundLookUp } from "./name-lookups.ts";

/** Answers when the test says so. */
function createSlowLookUp() {
  const asked: { readonly name: string; readonly answer: (addresses: string[]) => void; readonly fail: () => void }[] =
    [];
  const lookUp = boundLookUp(
    (name) =>
      new Promise((answer, reject) => {
        asked.push({ name, answer, fail: () => reject(new Error("ENOTFOUND")) });
      }),
  );
  return { lookUp, asked };
}

const never = new AbortController().signal;

describe("boundLookUp", () => {
  it("asks for two names at a time, the longest waiting next, whatever the answers are", async () => {
    const { lookUp, asked } = createSlowLookUp();
    const answers = ["a", "b", "c", "d"].map((name) => lookUp(name, never));
    await expect.poll(() => asked.map(({ name }) => name)).toEqual(["a", "b"]);
    asked[0]?.fail();
    await expect(answers[0]).rejects.toThrow("ENOTFOUND");
    asked[1]?.answer(["1.1.1.1"]);
    await expect(answers[1]).resolves.toEqual(["1.1.1.1"]);
    await expect.poll(() => asked.map(({ name }) => name)).toEqual(["a", "b", "c", "d"]);
    asked[2]?.answer([]);
    asked[3]?.answer([]);
    await Promise.all(answers.slice(2));
  });

  it("lets those go who wait no more, and holds the place of what still runs", async () => {
    const { lookUp, asked } = createSlowLookUp();
    const gone = new AbortController();
    const running = [lookUp("a", gone.signal), lookUp("b", gone.signal)];
    const waiting = lookUp("c", gone.signal);
    const later = lookUp("d", never);
    gone.abort("gone");
    for (const left of [...running, waiting]) await expect(left).rejects.toBe("gone");
    expect(asked.map(({ name }) => name)).toEqual(["a", "b"]);
    asked[0]?.answer([]);
    await expect.poll(() => asked.map(({ name }) => name)).toEqual(["a", "b", "d"]);
    asked[2]?.answer(["::1"]);
    await expect(later).resolves.toEqual(["::1"]);
    await expect(lookUp("e", gone.signal)).rejects.toBe("gone");
  });

  it("refuses more than 1 000 that wait", async () => {
    const { lookUp } = createSlowLookUp();
    const gone = new AbortController();
    const all = Array.from({ length: 1_000 }, () => lookUp("a", gone.signal).catch((reason: unknown) => reason));
    await expect(lookUp("b", never)).rejects.toMatchObject({ code: Code.ResourceExhausted });
    gone.abort("gone");
    expect(new Set(await Promise.all(all))).toEqual(new Set(["gone"]));
  });

  it("passes on what a look-up throws at once", async () => {
    const lookUp = boundLookUp(() => {
      throw new Error("broken");
    });
    for (const name of ["a", "b", "c"]) await expect(lookUp(name, never)).rejects.toThrow("broken");
  });
});
