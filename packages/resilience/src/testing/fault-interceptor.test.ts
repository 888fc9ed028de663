import { getEventListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import { type StringValue, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type StreamResponse } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import {
  settle,
  streamRequest,
  streamResponse,
  unaryRequest,
  unaryResponse,
} from "../../test/fixtures/deferred-calls.ts";
import { EchoService } from "../../test/fixtures/echo-service.ts";
import { systemClock } from "../clock.ts";
import { FakeClock } from "./fake-clock.ts";
import { faults } from "./fault-interceptor.ts";
import { type FaultOptions, resolveFaultOptions } from "./fault-options.ts";
import type { Fault } from "./fault-plan.ts";

const { get, set } = EchoService.method;
const canceled = new ConnectError("enough", Code.Canceled);

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => {
      throw new Error("the call succeeded");
    },
    (reason: unknown) => ConnectError.from(reason),
  );
}

/** A client with faults, whose calls otherwise succeed. */
function faulty(options: FaultOptions) {
  const clock = new FakeClock();
  const reached: string[] = [];
  const run = faults({ clock, ...options })(async (request) => {
    reached.push(request.method.name);
    return request.stream ? streamResponse(words("a", "b", "c")) : unaryResponse();
  });
  return { clock, reached, run };
}

const words = async function* (...values: string[]): AsyncGenerator<StringValue> {
  for (const value of values) yield create(StringValueSchema, { value });
};

/** What a call comes to. */
async function outcomeOf(call: Promise<unknown>): Promise<Code | "ok"> {
  return call.then(
    () => "ok",
    (reason: unknown) => ConnectError.from(reason).code,
  );
}

/** What the first calls of a method come to. */
async function outcomes(options: FaultOptions, count: number): Promise<(Code | "ok")[]> {
  const { run } = faulty(options);
  const results: (Code | "ok")[] = [];
  for (let call = 0; call < count; call++) results.push(await outcomeOf(run(unaryRequest())));
  return results;
}

describe("faults", () => {
  it("does nothing without options", async () => {
    const { run, reached, clock } = faulty({});
    expect(await run(unaryRequest())).toMatchObject({ stream: false });
    expect([reached, clock.pending]).toEqual([["Get"], 0]);
  });

  it("fails the share of the calls that errorRate says, with each of the codes, and does not run them", async () => {
    const { run, reached } = faulty({ errorRate: 0.3, codes: [Code.Internal, Code.Aborted] });
    const errors: (Code | "ok")[] = [];
    for (let call = 0; call < 1_000; call++) errors.push(await outcomeOf(run(unaryRequest())));
    const count = (code: Code) => errors.filter((error) => error === code).length;
    expect(reached).toHaveLength(1_000 - count(Code.Internal) - count(Code.Aborted));
    expect(count(Code.Internal)).toBeGreaterThan(100);
    expect(count(Code.Internal)).toBeLessThan(200);
    expect(count(Code.Aborted)).toBeGreaterThan(100);
    expect(count(Code.Aborted)).toBeLessThan(200);
  });

  it("is the same for the same seed and another for another, whatever other methods are called in between", async () => {
    const first = await outcomes({ errorRate: 0.5 }, 50);
    expect(await outcomes({ errorRate: 0.5, seed: 1, stallRate: 0, latencyRate: 0 }, 50)).toEqual(first);
    expect(await outcomes({ errorRate: 0.5, seed: 2 }, 50)).not.toEqual(first);
    const { run } = faulty({ errorRate: 0.5 });
    const mixed: (Code | "ok")[] = [];
    for (let call = 0; call < 50; call++) {
      await run({ ...unaryRequest(), method: set }).catch(() => {});
      mixed.push(await outcomeOf(run(unaryRequest())));
    }
    expect(mixed).toEqual(first);
  });

  it.each([
    { latencyMs: 40, early: 39, late: 40 },
    { latencyMs: [10, 20] as const, early: 9.9, late: 20 },
  ])("calls begin $latencyMs ms later", async ({ latencyMs, early, late }) => {
    const { run, reached, clock } = faulty({ latencyMs });
    void run(unaryRequest());
    await clock.advance(early);
    expect(reached).toEqual([]);
    await clock.advance(late - early);
    expect(reached).toEqual(["Get"]);
  });

  it("latencyRate: the share of the calls that are late", async () => {
    const { run, reached, clock } = faulty({ latencyMs: 1_000, latencyRate: 0.25 });
    for (let call = 0; call < 400; call++) void run(unaryRequest());
    await settle();
    expect(clock.pending).toBe(400 - reached.length);
    expect(clock.pending).toBeGreaterThan(60);
    expect(clock.pending).toBeLessThan(140);
    await clock.advance(1_000);
    expect(reached).toHaveLength(400);
  });

  it("an abort ends latency and stall at once, and leaves nothing behind", async () => {
    for (const options of [{ latencyMs: 1_000 }, { stallRate: 1 }]) {
      const { run, reached, clock } = faulty(options);
      const controller = new AbortController();
      const failed = errorOf(run(unaryRequest({ signal: controller.signal })));
      await clock.waitForSleep();
      controller.abort(canceled);
      expect(await failed).toBe(canceled);
      expect([reached, clock.pending, getEventListeners(controller.signal, "abort")]).toEqual([[], 0, []]);
    }
  });

  it("a stall ends after maxStallMs, with unavailable", async () => {
    const { run, clock } = faulty({ stallRate: 1, maxStallMs: 500 });
    const failed = errorOf(run(unaryRequest()));
    await clock.advance(500);
    expect((await failed).code).toBe(Code.Unavailable);
  });

  it("a stream stalls after its messages, until it is aborted or its reader leaves", async () => {
    const { run, clock } = faulty({ stallRate: 1, stallAfter: 2 });
    const controller = new AbortController();
    const open = async () => {
      const response = await run(streamRequest({ signal: controller.signal }));
      const iterator = (response as StreamResponse).message[Symbol.asyncIterator]();
      for (const value of ["a", "b"]) expect(await iterator.next()).toMatchObject({ value: { value } });
      return iterator;
    };
    const left = await open();
    const pending = left.next();
    await clock.waitForSleep();
    await left.return?.();
    expect([await pending, await left.next(), clock.pending]).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
      0,
    ]);
    const aborted = await open();
    const failed = errorOf(aborted.next());
    await clock.waitForSleep();
    controller.abort(canceled);
    expect([await failed, clock.pending]).toEqual([canceled, 0]);
  });

  it.each([
    { title: "a unary call, however many messages there may be", request: unaryRequest(), stallAfter: 2 },
    { title: "a stream without messages", request: streamRequest(), stallAfter: 0 },
  ])("$title stalls without having run", async ({ request, stallAfter }) => {
    const { run, reached, clock } = faulty({ stallRate: 1, stallAfter });
    const failed = errorOf(run(request));
    await clock.waitForSleep();
    expect(reached).toEqual([]);
    await clock.advance(60_000);
    expect((await failed).rawMessage).toBe("injected stall, given up after 60000 ms");
  });

  it("a stream that ends before its messages are counted does not stall", async () => {
    const { run, clock } = faulty({ stallRate: 1, stallAfter: 5 });
    const values: unknown[] = [];
    for await (const message of ((await run(streamRequest())) as StreamResponse).message) values.push(message);
    expect([values.length, clock.pending]).toEqual([3, 0]);
  });

  it("a plan decides by method and number", async () => {
    const refused = new ConnectError("refused", Code.PermissionDenied);
    const seen: unknown[] = [];
    const plan = (method: unknown, number: number): Fault | undefined => {
      seen.push([method, number]);
      return number === 2 ? { error: refused } : undefined;
    };
    const { run } = faulty({ plan });
    await run(unaryRequest());
    await run({ ...unaryRequest(), method: set });
    expect(await errorOf(run(unaryRequest()))).toBe(refused);
    expect(seen).toEqual([
      [get, 1],
      [set, 1],
      [get, 2],
    ]);
  });
});

describe("resolveFaultOptions", () => {
  it("gives the defaults for options that are missing or undefined", () => {
    const allUndefined: FaultOptions = {
      seed: undefined,
      latencyMs: undefined,
      latencyRate: undefined,
      errorRate: undefined,
      codes: undefined,
      stallRate: undefined,
      stallAfter: undefined,
      maxStallMs: undefined,
      plan: undefined,
      clock: undefined,
    };
    for (const options of [undefined, {}, allUndefined]) {
      const { plan, ...rest } = resolveFaultOptions(options);
      expect(rest).toEqual({ maxStallMs: 60_000, clock: systemClock });
      expect(plan(get, 1)).toEqual({ latencyMs: 0, error: undefined, stallAfter: undefined });
    }
  });

  it.each<{ bad: object; error: Error }>([
    { bad: { seed: 1.5 }, error: new RangeError("seed must be a whole number, got 1.5") },
    ...[-1, Infinity, Number.NaN, [2, 1], [0]].map((latencyMs) => ({
      bad: { latencyMs },
      error: new RangeError(`latencyMs must be from 0 and finite, the least first, got ${latencyMs}`),
    })),
    ...["latencyRate", "errorRate", "stallRate"].flatMap((name) =>
      [-0.1, 1.1, Number.NaN].map((rate) => ({
        bad: { [name]: rate },
        error: new RangeError(`${name} must be from 0 to 1, got ${rate}`),
      })),
    ),
    { bad: { codes: [] }, error: new TypeError("codes must be an array of codes, got ") },
    { bad: { codes: [99] }, error: new RangeError("codes must be codes, got 99") },
    { bad: { stallAfter: -1 }, error: new RangeError("stallAfter must be a whole number from 0, got -1") },
    { bad: { maxStallMs: 0 }, error: new RangeError("maxStallMs must be a finite number above 0, got 0") },
    { bad: { plan: "none" }, error: new TypeError("plan must be a function, got none") },
    {
      bad: { plan: () => undefined, errorRate: 1 },
      error: new TypeError("errorRate must not be given together with plan"),
    },
  ])("refuses $bad", ({ bad, error }) => {
    expect(() => resolveFaultOptions(bad)).toThrow(error);
  });
});
