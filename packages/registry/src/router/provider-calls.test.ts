import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { createProviderCalls } from "./provider-calls.ts";

const over = new ConnectError("over", Code.Unavailable);

describe("the routed calls of a provider", () => {
  it("are none at once when there is none, and once the last has ended", async () => {
    const calls = createProviderCalls();
    await calls.idle("p", undefined);
    const ends = [calls.begin("p", () => {}), calls.begin("p", () => {})];
    const log: string[] = [];
    const both = [calls.idle("p", undefined), calls.idle("p", undefined)].map((idle) =>
      idle.then(() => log.push("idle")),
    );
    const other = calls.begin("other", () => {});
    ends[0]?.();
    ends[0]?.(); // counts once
    await Promise.resolve();
    expect(log).toEqual([]);
    ends[1]?.();
    await Promise.all(both);
    expect(log).toEqual(["idle", "idle"]);
    other();
  });

  it("are waited for no longer than the signal lets", async () => {
    const calls = createProviderCalls();
    const end = calls.begin("p", () => {});
    await expect(calls.idle("p", AbortSignal.abort(over))).rejects.toBe(over);
    const stop = new AbortController();
    const idle = calls.idle("p", stop.signal);
    const patient = calls.idle("p", undefined);
    stop.abort(over);
    await expect(idle).rejects.toBe(over);
    end();
    await patient;
  });

  it("are cut all at once, those of others not, and count until they have ended", async () => {
    const calls = createProviderCalls();
    const cuts: string[] = [];
    const end = calls.begin("p", ({ rawMessage }) => cuts.push(rawMessage));
    calls.begin("q", () => cuts.push("q"));
    expect(calls.cut("p", over)).toBe(1);
    expect(calls.cut("nobody", over)).toBe(0);
    expect(cuts).toEqual(["over"]);
    const idle = calls.idle("p", undefined);
    end();
    await idle;
    expect(calls.cut("p", over)).toBe(0);
  });
});
