import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { HealthService } from "@cpg/core/gen/connectplugin/health/v1/health_pb";
import { PluginControl } from "@cpg/core/gen/connectplugin/v1/plugin_pb";
import { expect } from "vitest";
import { createServiceClient } from "../../src/client/service-client.ts";
import { serveEcho } from "../support/started-server.ts";
import type { StepInit } from "./contract-messages.ts";
import { createFeed } from "./feed.ts";
import { kinds } from "./kinds.ts";
import type { Caller, Carrier, Kind, StartedPlugin } from "./subject.ts";
import { seen } from "./witnessed.ts";

/** A case that ends its plugin, so it starts one of its own. */
export interface LifeCase {
  readonly title: string;
  run(carrier: Carrier): Promise<void>;
}

const unavailable = { code: Code.Unavailable };

async function start(carrier: Carrier, options: Parameters<Carrier["start"]>[0] = {}) {
  const plugin = await carrier.start(options);
  return { plugin, contract: await plugin.dispense("contract"), witness: await plugin.dispense("witness") };
}

const carried = (carrier: Carrier) => kinds.filter(({ bidi }) => !bidi || carrier.traits.httpVersion !== "1.1");

/** Calls until one is refused, as it is once the plugin takes no new ones. */
async function refusal(contract: Caller): Promise<ConnectError> {
  for (let tries = 0; tries < 10_000; tries++) {
    const outcome = await contract.unary({ text: "?" }).catch((reason: unknown) => ConnectError.from(reason));
    if (outcome instanceof ConnectError) return outcome;
  }
  throw new Error("no call was refused");
}

/** Ends a plugin in whose hands there are calls of each kind; all of them fail with `unavailable`. */
async function cutsCalls(carrier: Carrier, act: "wait" | "stubborn", end: (plugin: StartedPlugin) => Promise<unknown>) {
  const { plugin, contract, witness } = await start(carrier);
  const some = carried(carrier).flatMap((kind) => [kind, kind, kind]);
  const calls = some.map((kind: Kind) =>
    kind.call(contract, { act, key: "cut" }, {}, 1).then(
      () => "succeeded",
      (reason) => Code[ConnectError.from(reason).code],
    ),
  );
  await seen({ witness }, "cut started", some.length);
  await end(plugin);
  expect(await Promise.all(calls)).toEqual(some.map(() => "Unavailable"));
  await plugin.exited;
  await plugin[Symbol.asyncDispose]();
}

export const lifeCases: readonly LifeCase[] = [
  {
    title: "stop lets the calls in flight finish, refuses new ones, and tells how the plugin ended",
    async run(carrier) {
      const { plugin, contract, witness } = await start(carrier);
      const feed = createFeed<StepInit>();
      const unary = contract.unary({ act: "gate", key: "held", text: "unary" });
      const streamed = contract.clientStream(feed);
      feed.push({ text: "client ", act: "" });
      const many = contract
        .serverStream({ count: 1, act: "gate", key: "held", text: "stream" })
        [Symbol.asyncIterator]();
      expect((await many.next()).value?.count).toBe(1);
      const last = many.next();
      await seen({ witness }, "held started", 2);
      const stopped = plugin.stop({ graceMs: 20_000 });
      expect(await refusal(contract)).toMatchObject(unavailable);
      // No call gets through any more but those that are under way: one of them opens the gate.
      feed.push({ act: "open", key: "held" });
      feed.push({ text: "stream" });
      feed.end();
      expect((await unary).text).toBe("unary");
      expect(await streamed).toMatchObject({ text: "client stream", count: 3 });
      expect((await last).value?.text).toBe("stream");
      expect((await many.next()).done).toBe(true);
      expect(await stopped).toEqual({ code: 0, signal: null, how: "asked" });
      await plugin[Symbol.asyncDispose]();
    },
  },
  {
    title: "calls that heed their signal are cut when the grace is over",
    run: (carrier) => cutsCalls(carrier, "wait", (plugin) => plugin.stop({ graceMs: 1_000 })),
  },
  {
    title: "calls that heed nothing are cut when the grace is over",
    run: (carrier) => cutsCalls(carrier, "stubborn", (plugin) => plugin.stop({ graceMs: 1_000, termGraceMs: 1_000 })),
  },
  {
    title: "a plugin that is killed cuts its calls",
    run: (carrier) => cutsCalls(carrier, "wait", (plugin) => plugin.kill()),
  },
  {
    title: "a plugin that ends by itself leaves calls unavailable, and says whose",
    async run(carrier) {
      const { plugin, contract } = await start(carrier);
      const calls = plugin.openTransport();
      const { controlToken } = plugin;
      await createClient(PluginControl, calls.transport).shutdown({ gracePeriodSeconds: 5, controlToken });
      await calls.close();
      expect(await plugin.exited).toEqual({ code: 0, signal: null, how: "exited" });
      for (const kind of carried(carrier)) {
        const error = ConnectError.from(await kind.call(contract, {}).catch((reason: unknown) => reason));
        expect(Code[error.code]).toBe("Unavailable");
        if (carrier.traits.launched) expect(error.rawMessage).toMatch(/plugin contract failed \(stage: running\)/);
      }
      await plugin[Symbol.asyncDispose]();
    },
  },
  {
    title: "kill cuts a stop short",
    async run(carrier) {
      const { plugin, contract, witness } = await start(carrier);
      const call = expect(contract.unary({ act: "stubborn", key: "k" })).rejects.toMatchObject(unavailable);
      await seen({ witness }, "k started");
      const stopped = plugin.stop({ graceMs: 60_000 });
      const killed = plugin.kill();
      await call;
      expect(await stopped).toEqual(await killed);
      await plugin[Symbol.asyncDispose]();
    },
  },
  {
    title: "a stop with a bad grace changes nothing; a good one ends it, and its result is shared by all who ask",
    async run(carrier) {
      const { plugin, contract } = await start(carrier);
      await expect(plugin.stop({ graceMs: -1 })).rejects.toThrow(/^graceMs must be/);
      expect((await contract.unary({ text: "still here" })).text).toBe("still here");
      const reports = await Promise.all([plugin.stop({ graceMs: 20_000 }), plugin.stop({ graceMs: 20_000 })]);
      reports.push(await plugin.exited, await plugin.stop(), await plugin.kill());
      expect(reports).toEqual(reports.map(() => ({ code: 0, signal: null, how: "asked" })));
      await plugin[Symbol.asyncDispose]();
      await plugin[Symbol.asyncDispose]();
      // A client that launched the plugin closes with it.
      for (const kind of carried(carrier)) {
        const error = ConnectError.from(await kind.call(contract, {}).catch((reason: unknown) => reason));
        expect([Code.Unavailable, Code.Canceled]).toContain(error.code);
      }
    },
  },
  {
    title: "a health watch is told that the plugin goes",
    async run(carrier) {
      const { plugin } = await start(carrier);
      const calls = plugin.openTransport();
      const statuses: number[] = [];
      const watch = createServiceClient(HealthService, calls.transport).watch({})[Symbol.asyncIterator]();
      statuses.push((await watch.next()).value?.status ?? 0);
      const stopped = plugin.stop({ graceMs: 10_000 });
      statuses.push((await watch.next()).value?.status ?? 0);
      expect(statuses).toEqual([1, 2]);
      expect((await watch.next()).done).toBe(true);
      expect((await stopped).how).toBe("asked");
      await calls.close();
      await plugin[Symbol.asyncDispose]();
    },
  },
  {
    title: "100 calls while the plugin stops: each is answered or unavailable, none hangs",
    async run(carrier) {
      const { plugin, contract } = await start(carrier);
      const call = (text: string) =>
        contract.unary({ text }).then(
          (answer) => answer.text === text,
          (reason) => ConnectError.from(reason).code,
        );
      const before = Array.from({ length: 50 }, (_, index) => call(`${index}`));
      const stopped = plugin.stop({ graceMs: 10_000 });
      const during = Array.from({ length: 50 }, (_, index) => call(`during ${index}`));
      const outcomes = new Set(await Promise.all([...before, ...during]));
      for (const outcome of outcomes) expect([true, Code.Unavailable]).toContain(outcome);
      expect((await stopped).how).toBe("asked");
      await plugin[Symbol.asyncDispose]();
    },
  },
  {
    title: "a host gives it an identity, which ends with it",
    async run(carrier) {
      await using host = await serveEcho();
      const { plugin, contract } = await start(carrier, { host });
      expect(plugin.identity).toMatchObject({ selfId: "contract" });
      expect(host.identities.size).toBe(1);
      expect((await contract.unary({ text: "works" })).text).toBe("works");
      const ended = new Promise((resolve) => plugin.identity?.onEnd(resolve));
      await plugin.stop({ graceMs: 10_000 });
      await ended;
      expect(host.identities.size).toBe(0);
      await plugin[Symbol.asyncDispose]();
    },
  },
  {
    title: "a version that the plugin does not speak is refused, naming both",
    async run(carrier) {
      const error = ConnectError.from(
        await carrier.start({ appProtocolVersions: [7, 8] }).catch((reason: unknown) => reason),
      );
      expect(Code[error.code]).toBe("FailedPrecondition");
      expect(error.rawMessage).toMatch(/7, 8/);
      expect(error.rawMessage).toMatch(/\b1\b/);
    },
  },
  {
    title: "a start that is given up before it began fails with the reason of its signal",
    async run(carrier) {
      const reason = new Error("given up");
      await expect(carrier.start({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    },
  },
  {
    title: "a client with a bad limit is refused, and nothing is left",
    async run(carrier) {
      await expect(carrier.start({ maxMessageBytes: 0 })).rejects.toThrow(/^maxMessageBytes must be/);
    },
  },
];
