import { Code, ConnectError } from "@connectrpc/connect";
import {
  createPluginClient,
  launchPlugin,
  memoryStrategy,
  nodeStrategy,
  type PluginClient,
  serve,
  workerStrategy,
} from "@cpg/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { counterPlugin, mockCounter } from "./golden/ts/kinds/v1/kinds_cpg.ts";
import { counter } from "./live/counter.ts";

const plugins = { counter: counterPlugin };
const program = { entry: new URL("./live/counter-main.ts", import.meta.url) };

/** How the calls get to the plugin, and what ends it. */
type Served = Pick<PluginClient<typeof plugins>, "dispense"> & { readonly end: () => Promise<unknown> };

const launched = async (strategy: Parameters<typeof launchPlugin>[0]["strategy"]): Promise<Served> => {
  const plugin = await launchPlugin({ strategy, plugins, readyTimeoutMs: 60_000 });
  return { dispense: (name) => plugin.dispense(name), end: () => plugin.stop() };
};

const remote = async (): Promise<Served> => {
  const server = await serve({ plugins, impls: { counter }, listen: { host: "127.0.0.1", port: 0 } });
  const client = createPluginClient({ endpoint: server.endpoint, plugins });
  return { dispense: (name) => client.dispense(name), end: () => client.close().then(() => server.close()) };
};

async function* numbers(count: number) {
  for (let number = 1; number <= count; number++) yield { number };
}

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const message of messages) collected.push(message);
  return collected;
}

const errorOf = (call: Promise<unknown>) => call.catch((error: unknown) => ConnectError.from(error));

describe.each([
  { place: "in memory", start: () => launched(memoryStrategy({ plugins, impls: { counter } })) },
  { place: "in a worker thread", start: () => launched(workerStrategy(program)) },
  { place: "in a process", start: () => launched(nodeStrategy(program)) },
  { place: "on a server elsewhere", start: remote },
])("the generated plugin $place", ({ start }) => {
  let served: Served;

  beforeAll(async () => {
    served = await start();
  });
  afterAll(() => served.end());

  it("answers a unary call", async () => {
    const calls = await served.dispense("counter");
    expect((await calls.add({ a: 2, b: 40 })).sum).toBe(42);
  });

  it("answers with a stream", async () => {
    const calls = await served.dispense("counter");
    const answers = await collect(calls.countDown({ from: 3 }));
    expect(answers.map(({ number }) => number)).toEqual([3, 2, 1]);
  });

  it("takes a stream", async () => {
    const calls = await served.dispense("counter");
    expect((await calls.sum(numbers(4))).sum).toBe(10);
  });

  it("takes and answers with streams", async () => {
    const calls = await served.dispense("counter");
    const answers = await collect(calls.double(numbers(3)));
    expect(answers.map(({ double }) => double)).toEqual([2, 4, 6]);
  });

  it("ends a call at the time-out that its .proto names", async () => {
    const calls = await served.dispense("counter");
    expect(await errorOf(calls.hang({}))).toMatchObject({ code: Code.DeadlineExceeded });
  });
});

describe("the generated definition", () => {
  it("has what the .proto says", () => {
    expect(counterPlugin).toMatchObject({
      name: "counter",
      version: "1.0.0",
      servicePath: "/kinds.v1.CounterService/",
      provides: [{ type: "counter", version: "1.0.0", path: "/kinds.v1.CounterService/" }],
      requires: [],
      timeoutsMs: { add: 2000, countDown: 60_000, hang: 50 },
    });
  });
});

describe("the generated test double", () => {
  it("serves what it is given, and answers unimplemented for each kind of the others", async () => {
    const double = mockCounter({ add: () => ({ sum: -1 }) });
    const served = await launched(memoryStrategy({ plugins, impls: { counter: double } }));
    const calls = await served.dispense("counter");
    expect((await calls.add({})).sum).toBe(-1);
    const failures = await Promise.all([
      errorOf(collect(calls.countDown({}))),
      errorOf(calls.sum(numbers(1))),
      errorOf(collect(calls.double(numbers(1)))),
      errorOf(calls.hang({})),
    ]);
    expect(failures).toMatchObject(
      ["CountDown", "Sum", "Double", "Hang"].map((method) => ({
        code: Code.Unimplemented,
        rawMessage: `kinds.v1.CounterService.${method} is not implemented by this mock`,
      })),
    );
    await served.end();
  });
});

describe("what is generated as JavaScript", () => {
  it("defines what the TypeScript does", async () => {
    const generated: { counterPlugin: object; mockCounter: () => object } = await import(
      "./golden/js-dts/kinds/v1/kinds_cpg.js"
    );
    const { service: _, ...facts } = counterPlugin;
    expect(generated.counterPlugin).toMatchObject(facts);
    expect(Object.keys(generated.mockCounter())).toEqual(Object.keys(mockCounter()));
  });
});
