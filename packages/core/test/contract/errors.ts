import { Code, ConnectError } from "@connectrpc/connect";
import { expect } from "vitest";
import { secret } from "./contract-handlers.ts";
import { type StepInit, StepSchema } from "./contract-messages.ts";
import { forKinds, stream, streamKinds } from "./kinds.ts";
import type { ContractCase } from "./subject.ts";

const codes = Object.values(Code).filter((code): code is Code => typeof code === "number");

/** The error that a call ends with, and how many answers came before it. */
async function failureOf(answers: AsyncIterable<unknown>): Promise<{ error: ConnectError; before: number }> {
  let before = 0;
  try {
    for await (const _ of answers) before++;
  } catch (reason) {
    expect(reason).toBeInstanceOf(ConnectError);
    return { error: ConnectError.from(reason), before };
  }
  throw new Error("the call succeeded");
}

/** What must not be found anywhere in an error. */
function shown({ message, rawMessage, details, metadata, stack, cause }: ConnectError): string {
  return JSON.stringify([message, rawMessage, details, [...metadata], stack, `${cause}`]);
}

const failing: StepInit = {
  act: "fail",
  text: "not today: żółw",
  code: Code.FailedPrecondition,
  facts: { "metadata:x-why": "rain", "metadata:x-both": "1|2", "metadata:x-bytes-bin": "AQI" },
};

export const errorCases: readonly ContractCase[] = [
  ...codes.flatMap((code) =>
    forKinds(`code ${Code[code]} arrives`, async ({ contract }, kind) => {
      const { error } = await failureOf(kind.open(contract, { act: "fail", text: `this is ${code}`, code }));
      expect([Code[error.code], error.rawMessage]).toEqual([Code[code], `this is ${code}`]);
    }),
  ),
  ...forKinds("an error has its message, details and metadata, and not its cause", async ({ contract }, kind) => {
    const { error } = await failureOf(kind.open(contract, failing));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.rawMessage).toBe("not today: żółw");
    expect(error.findDetails(StepSchema)).toMatchObject([
      { text: "first detail", count: 7, data: Uint8Array.of(1, 0, 255) },
      { text: "second detail" },
    ]);
    const { metadata } = error;
    expect([metadata.get("x-why"), metadata.get("x-both"), metadata.get("x-bytes-bin")]).toEqual([
      "rain",
      "1, 2",
      "AQI",
    ]);
    expect(shown(error)).not.toContain(secret);
  }),
  ...forKinds("headers and trailers that were set before an error arrive with it", async ({ contract }, kind) => {
    const facts = { "header:x-early": "head", "trailer:x-late": "tail" };
    const { error } = await failureOf(kind.open(contract, { ...failing, facts }));
    expect([error.metadata.get("x-early"), error.metadata.get("x-late")]).toEqual(["head", "tail"]);
  }),
  ...["throw", "throw text"].flatMap((act) =>
    forKinds(`what is no ConnectError is internal, and its text stays inside (${act})`, async ({ contract }, kind) => {
      const { error } = await failureOf(kind.open(contract, { act }));
      expect(error.code).toBe(Code.Internal);
      expect(shown(error)).not.toContain(secret);
    }),
  ),
  ...forKinds(
    "an error after two messages comes after them",
    async ({ contract }, kind) => {
      const { error, before } = await failureOf(kind.open(contract, failing, {}, 2));
      expect([before, Code[error.code], error.findDetails(StepSchema).length]).toEqual([2, "FailedPrecondition", 2]);
      expect(error.metadata.get("x-why")).toBe("rain");
    },
    streamKinds,
  ),
  ...forKinds(
    "no ConnectError after two messages comes after them",
    async ({ contract }, kind) => {
      const { error, before } = await failureOf(kind.open(contract, { act: "throw" }, {}, 2));
      expect([before, Code[error.code]]).toEqual([2, "Internal"]);
      expect(shown(error)).not.toContain(secret);
    },
    streamKinds,
  ),
  {
    title: "an error in the midst of a request stream ends the call (client stream)",
    async run({ contract }) {
      const requests = stream<StepInit>({ text: "a" }, failing, { text: "never looked at" });
      await expect(contract.clientStream(requests)).rejects.toMatchObject({ code: Code.FailedPrecondition });
    },
  },
  ...forKinds(
    "an error is met once; the stream is over after it",
    async ({ contract }, kind) => {
      const answers = kind.open(contract, failing, {}, 1)[Symbol.asyncIterator]();
      expect((await answers.next()).done).toBe(false);
      await expect(answers.next()).rejects.toMatchObject({ code: Code.FailedPrecondition });
      expect(await answers.next()).toEqual({ done: true, value: undefined });
    },
    streamKinds,
  ),
  ...forKinds("an error that a handler throws again and again arrives the same each time", async (subject, kind) => {
    const { contract } = subject;
    const step = { act: "fail alike", facts: { "header:x-early": "head", "trailer:x-late": "tail" } };
    for (let time = 1; time <= 20; time++) {
      const { metadata } = (await failureOf(kind.open(contract, step))).error;
      expect([metadata.get("x-why"), metadata.get("x-early"), metadata.get("x-late")]).toEqual([
        "rain",
        "head",
        "tail",
      ]);
    }
    const { metadata } = (await failureOf(kind.open(contract, { act: "fail alike" }))).error;
    expect([metadata.get("x-why"), metadata.get("x-early"), metadata.get("x-late")]).toEqual(["rain", null, null]);
  }),
  ...forKinds("200 failures later calls still work", async ({ contract }, kind) => {
    const failures = Array.from({ length: 200 }, () => kind.call(contract, failing).then(() => "succeeded", codeOf));
    expect(new Set(await Promise.all(failures))).toEqual(new Set([Code.FailedPrecondition]));
    expect((await contract.unary({ text: "still here" })).text).toBe("still here");
  }),
];

function codeOf(reason: unknown): Code {
  return ConnectError.from(reason).code;
}
