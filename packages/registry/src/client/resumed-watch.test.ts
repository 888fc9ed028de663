import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  ServiceState,
  type WatchServiceEvent,
  WatchServiceEventSchema,
} from "@cpg/core/gen/connectplugin/v1/registry_pb";
import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import { FakeLink } from "../../test/support/fake-link.ts";
import { createLinkPauses } from "./link-pauses.ts";
import { resumedWatch } from "./resumed-watch.ts";

type Stream = (signal: AbortSignal) => AsyncIterable<WatchServiceEvent>;
const broken = new ConnectError("cut", Code.Unavailable);

type Facts = Partial<Pick<WatchServiceEvent, "revision" | "epoch" | "restarted">>;

function up(version: string, facts: Facts = {}): WatchServiceEvent {
  const endpoint = { providerId: "a-1", version };
  return create(WatchServiceEventSchema, { serviceType: "logger", state: ServiceState.AVAILABLE, endpoint, ...facts });
}

/** A stream of these, which then breaks, ends, or stays open. */
function stream(events: readonly WatchServiceEvent[], then: "ends" | "stays" | ConnectError = "stays"): Stream {
  return async function* (signal) {
    yield* events;
    if (then instanceof ConnectError) throw then;
    if (then === "ends") return;
    await new Promise<never>((_resolve, reject) => {
      const abort = (): void => reject(ConnectError.from(signal.reason, Code.Canceled));
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort);
    });
  };
}

function watch(streams: readonly Stream[], signal?: AbortSignal) {
  const link = new FakeLink();
  const clock = new FakeClock();
  const left = [...streams];
  const orders: string[] = [];
  const signals: AbortSignal[] = [];
  const views = resumedWatch({
    type: "logger",
    open({ serviceType, allProviders, afterRevision, epoch }, abort) {
      orders.push(`${serviceType} ${allProviders} ${epoch}@${afterRevision}`);
      signals.push(abort);
      return (left.shift() ?? stream([]))(abort);
    },
    pauses: createLinkPauses({
      link,
      backoff: { initialMs: 100, maxMs: 10_000, jitter: "none" },
      random: () => 0,
      clock,
    }),
    signal,
  });
  return { link, clock, orders, signals, views };
}

const versionOf = (result: {
  readonly value: { readonly endpoint?: { readonly version: string } | undefined } | undefined;
}) => result.value?.endpoint?.version;

describe("resumedWatch", () => {
  it("goes on after a break behind the last event, and tells that one no second time", async () => {
    const first = stream(
      [up("1.0.0", { revision: 4n, epoch: "e" }), up("1.1.0", { revision: 6n, epoch: "e" })],
      broken,
    );
    const { views, clock, orders } = watch([first, stream([up("1.2.0", { revision: 9n, epoch: "e" })])]);
    expect(versionOf(await views.next())).toBe("1.0.0");
    expect(versionOf(await views.next())).toBe("1.1.0");
    const next = views.next();
    await clock.advance(100);
    expect(versionOf(await next)).toBe("1.2.0");
    expect(orders).toEqual(["logger true @0", "logger true e@6"]);
    await views.return?.();
  });

  it("tells that it had to start over, even when nothing else has changed", async () => {
    const again = up("1.0.0", { revision: 2n, epoch: "f", restarted: true });
    const { views, clock } = watch([stream([up("1.0.0", { revision: 4n, epoch: "e" })], "ends"), stream([again])]);
    expect((await views.next()).value?.restarted).toBe(false);
    const next = views.next();
    await clock.advance(100);
    expect((await next).value).toMatchObject({ restarted: true, epoch: "f", revision: 2 });
    await views.return?.();
  });

  it("does not repeat what a host says that cannot resume, and asks it with growing pauses", async () => {
    const same = stream([up("1.0.0")], "ends");
    const last = stream([up("1.0.0"), up("2.0.0")], "ends");
    const { views, clock, orders } = watch([same, same, same, last, stream([up("3.0.0")])]);
    expect(versionOf(await views.next())).toBe("1.0.0");
    const next = views.next();
    await clock.advance(100 + 200);
    expect(orders).toHaveLength(3);
    await clock.advance(400);
    expect(versionOf(await next)).toBe("2.0.0");
    const afterNews = views.next();
    await clock.advance(100);
    expect(versionOf(await afterNews)).toBe("3.0.0");
    await views.return?.();
  });

  it("opens the next stream at once when the link is up again", async () => {
    const { views, clock, link, orders } = watch([stream([up("1.0.0")], broken), stream([up("2.0.0")])]);
    await views.next();
    link.goDown();
    const next = views.next();
    await clock.advance(0);
    expect(orders).toHaveLength(1);
    link.comeBack();
    expect(versionOf(await next)).toBe("2.0.0");
    await views.return?.();
  });

  it.each([Code.InvalidArgument, Code.PermissionDenied, Code.Unimplemented])(
    "ends with what the host will say again: code %i",
    async (code) => {
      const { views, orders } = watch([stream([], new ConnectError("no", code))]);
      await expect(views.next()).rejects.toMatchObject({ code });
      expect(await views.next()).toEqual({ done: true, value: undefined });
      expect(orders).toHaveLength(1);
    },
  );

  it.each([Code.NotFound, Code.Unauthenticated, Code.ResourceExhausted, Code.Internal, Code.Canceled])(
    "tries again after what may pass: code %i",
    async (code) => {
      const { views, clock } = watch([stream([], new ConnectError("not now", code)), stream([up("1.0.0")])]);
      const next = views.next();
      await clock.advance(100);
      expect(versionOf(await next)).toBe("1.0.0");
      await views.return?.();
    },
  );

  it("ends with unavailable when the link is closed", async () => {
    const { views, clock, link } = watch([stream([up("1.0.0")], broken)]);
    await views.next();
    link.close();
    await expect(views.next()).rejects.toMatchObject({ code: Code.Unavailable });
    expect({ held: link.held, pending: clock.pending }).toEqual({ held: 0, pending: 0 });
  });

  it("ends when its reader leaves, in the middle of a read, between two or before the first", async () => {
    const reading = watch([stream([up("1.0.0")])]);
    await reading.views.next();
    const pending = reading.views.next();
    await reading.views.return?.();
    expect(await pending).toEqual({ done: true, value: undefined });
    const between = watch([stream([up("1.0.0"), up("2.0.0")])]);
    for await (const _ of between.views) break;
    expect(await between.views.next()).toEqual({ done: true, value: undefined });
    const before = watch([]);
    await before.views.return?.();
    expect(await before.views.next()).toEqual({ done: true, value: undefined });
    expect([...reading.signals, ...between.signals].map(({ aborted }) => aborted)).toEqual([true, true]);
    expect(before.orders).toEqual([]);
  });

  it("leaves nothing behind when its reader leaves in a pause", async () => {
    const { views, clock, link } = watch([stream([], broken)]);
    const pending = views.next();
    await clock.waitForSleep();
    await views.return?.();
    expect(await pending).toEqual({ done: true, value: undefined });
    await clock.advance(0);
    expect({ held: link.held, pending: clock.pending }).toEqual({ held: 0, pending: 0 });
  });

  it.each(["before", "while it waits"])("rejects with the reason of its signal: %s", async (when) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    if (when === "before") controller.abort(reason);
    const { views, orders } = watch([], controller.signal);
    const next = views.next();
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);
    expect(orders).toHaveLength(when === "before" ? 0 : 1);
  });
});
