import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { onShutdownSignal } from "./shutdown-signals.ts";

// Another listener decides about the end of the process, so that the tests live on.
const decides = () => {};
const send = () => process.emit("SIGTERM", "SIGTERM");
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("onShutdownSignal", () => {
  beforeEach(() => void process.on("SIGTERM", decides));
  afterEach(() => void process.off("SIGTERM", decides));

  it("closes every server once, and listens no more", async () => {
    const log: string[] = [];
    const before = process.listenerCount("SIGTERM");
    onShutdownSignal(async () => void log.push("first"));
    onShutdownSignal(async () => void log.push("second"));
    expect(process.listenerCount("SIGTERM")).toBe(before + 1);
    send();
    await turn();
    expect(log).toEqual(["first", "second"]);
    expect(process.listenerCount("SIGTERM")).toBe(before);
  });

  it("listens again for a server that comes after a close which never ended", async () => {
    const log: string[] = [];
    const before = process.listenerCount("SIGTERM");
    const stuck = Promise.withResolvers<void>();
    const forgetStuck = onShutdownSignal(() => stuck.promise);
    send();
    send();
    const forget = onShutdownSignal(async () => void log.push("later"));
    expect(process.listenerCount("SIGTERM")).toBe(before + 1);
    stuck.resolve();
    forgetStuck();
    await turn();
    expect(process.listenerCount("SIGTERM")).toBe(before + 1);
    send();
    await turn();
    expect(log).toEqual(["later"]);
    forget();
    expect(process.listenerCount("SIGTERM")).toBe(before);
  });

  it("listens once when a server starts while another closes", async () => {
    const before = process.listenerCount("SIGTERM");
    const forgetFirst = onShutdownSignal(async () => forgetFirst());
    send();
    await Promise.resolve();
    const forget = onShutdownSignal(async () => {});
    await turn();
    expect(process.listenerCount("SIGTERM")).toBe(before + 1);
    forget();
    expect(process.listenerCount("SIGTERM")).toBe(before);
  });
});
