import { Code, type ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { PlatformError, type PlatformPlugin } from "../src/index.ts";
import {
  createCaller,
  createWaitingRelay,
  errorOf,
  type RelayOptions,
  relayInMemory,
  relayProcess,
  startPlatform,
} from "./support/platform-plugins.ts";

/** Calls one after the other until told to stop; resolves with what they answered, each answer once. */
function callAllTheTime(call: () => Promise<string>): () => Promise<ReadonlyMap<string, number>> {
  const answers = new Map<string, number>();
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      const answer = await call();
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
    }
  })();
  return async () => {
    stopped = true;
    await loop;
    return answers;
  };
}

describe("replace", { timeout: 60_000 }, () => {
  it("loses no call, not of those either that name the old one", async () => {
    await using scene = await startPlatform({ plugins: [relayProcess("relay")] });
    const { platform } = scene;
    const old = platform.plugins()[0];
    const caller = createCaller(platform, ["relay"]);
    const loops = [0, 1, 2, 3].map((index) =>
      callAllTheTime(() => caller.call("relay", "hello", index % 2 === 0 ? "-" : old?.runtimeId)),
    );
    let moments = 0;
    platform.registry.follow("relay", ({ state }) => {
      if (state !== "available") moments++;
    });
    const report = await platform.replace("relay", relayProcess("relay", "", { version: "1.1.0" }));
    const again = await platform.replace("relay", relayInMemory("relay", { version: "1.2.0" }));
    expect(await caller.call("relay", "still", old?.runtimeId)).toBe("1.2.0 still");
    const answers = new Set((await Promise.all(loops.map((stop) => stop()))).flatMap((each) => [...each.keys()]));
    expect([...answers].filter((answer) => !/^1\.[012]\.0 hello$/.test(answer))).toEqual([]);
    expect(moments).toBe(0);
    expect(report).toMatchObject({ plugin: "relay", from: old?.runtimeId, callsCut: 0, error: undefined });
    expect(again.from).toBe(report.to);
    expect(platform.plugins()).toMatchObject([{ state: "running", runtimeId: again.to, replacing: undefined }]);
    expect(platform.registry.providers().map(({ id }) => id)).toEqual([again.to]);
    expect(isAlive(old?.pid)).toBe(false);
  });

  it("lets the old one finish its calls, and ends what outlasts the grace with unavailable", async () => {
    const waiting = createWaitingRelay();
    const kept = createWaitingRelay();
    await using scene = await startPlatform({ plugins: [relayInMemory("relay", { impl: kept.impl })] });
    const { platform } = scene;
    const caller = createCaller(platform, ["relay"]);
    const finished = caller.call("relay", "finished");
    await kept.began;
    const replaced = platform.replace("relay", relayInMemory("relay", { impl: waiting.impl }));
    await scene.until((event) => event.type === "replacing" && event.stage === "drain");
    expect(platform.plugins()[0]).toMatchObject({
      state: "running",
      operation: "replace",
      replacing: { stage: "drain", other: { state: "draining" } },
    });
    const cut = caller.call("relay", "cut"); // goes to the next one
    await waiting.began;
    kept.release();
    expect(await finished).toBe("finished");
    expect((await replaced).callsCut).toBe(0);
    const report = await platform.replace("relay", relayInMemory("relay"), { streamGraceMs: 10 });
    expect(report.callsCut).toBe(1);
    expect(await cut).toBe("unavailable");
    expect(await caller.call("relay")).toBe("1.0.0 hello");
  });

  const user = relayInMemory("user", { requires: ["relay@1.5.0"] });
  const fails = () => Promise.reject(new Error("broken at start"));
  const next = (options: RelayOptions): PlatformPlugin => relayInMemory("relay", { version: "2.1.0", ...options });

  it.each<{ at: string; next: PlatformPlugin; stage: string; code: Code; tells: string; allowDowngrade?: boolean }>([
    {
      at: "its launch",
      next: next({ onStart: fails }),
      stage: "launch",
      code: Code.Unavailable,
      tells: "broken at start",
    },
    {
      at: "its process",
      next: relayProcess("relay", "fail"),
      stage: "launch",
      code: Code.Unavailable,
      tells: "cannot find its heart",
    },
    {
      at: "the handshake",
      next: { ...next({}), plugins: relayInMemory("other").plugins } as PlatformPlugin,
      stage: "launch",
      code: Code.NotFound,
      tells: "other",
    },
    {
      at: "what it needs",
      next: next({ requires: ["nowhere"] }),
      stage: "introduce",
      code: Code.FailedPrecondition,
      tells: "nowhere",
    },
    {
      at: "its name",
      next: next({ selfId: "another" }),
      stage: "introduce",
      code: Code.PermissionDenied,
      tells: "relay",
    },
    {
      at: "its health",
      next: {
        ...next({
          onStart: ({ health }) => health.setHealth({ state: "unhealthy", reason: "ill", unavailableDependencies: [] }),
        }),
        readyTimeoutMs: 300,
      },
      stage: "health",
      code: Code.DeadlineExceeded,
      tells: "healthy",
    },
    {
      at: "an older version",
      next: next({ version: "1.9.0" }),
      stage: "check",
      code: Code.FailedPrecondition,
      tells: "older",
    },
    {
      at: "a version too old for a user",
      next: next({ version: "1.4.0" }),
      stage: "check",
      code: Code.FailedPrecondition,
      tells: "user needs relay 1.5.0",
      allowDowngrade: true,
    },
    {
      at: "a missing type",
      next: next({ provides: ["else"] }),
      stage: "check",
      code: Code.FailedPrecondition,
      tells: "does not provide relay",
    },
  ])("that fails at $at leaves the old one serving, and tells the stage", async (row) => {
    await using scene = await startPlatform({ plugins: [relayInMemory("relay", { version: "2.0.0" }), user] });
    const { platform } = scene;
    const before = platform.plugins();
    const caller = createCaller(platform, ["relay"]);
    const stop = callAllTheTime(() => caller.call("relay"));
    const { allowDowngrade } = row;
    const error: ConnectError = await errorOf(platform.replace("relay", row.next, { allowDowngrade }));
    expect(error.code).toBe(row.code);
    expect(error.cause).toBeInstanceOf(PlatformError);
    expect(error.cause).toMatchObject({ plugin: "relay", stage: row.stage });
    const { stderrTail } = error.cause as PlatformError;
    expect([error.rawMessage, ...stderrTail].join("\n")).toContain(row.tells);
    expect([...(await stop()).keys()]).toEqual(["2.0.0 hello"]);
    const facts = ({ id, state, runtimeId, operation }: (typeof before)[number]) => [id, state, runtimeId, operation];
    expect(platform.plugins().map(facts)).toEqual(before.map(facts));
    expect(platform.registry.providers().length).toBe(2);
    expect(platform.host.identities.size).toBe(3); // the plugins and the caller
  });

  it("gives up before the switch when its signal aborts", async () => {
    const began = Promise.withResolvers<void>();
    const never = relayInMemory("relay", {
      onStart() {
        began.resolve();
        return new Promise(() => {});
      },
    });
    await using scene = await startPlatform({ plugins: [relayInMemory("relay")] });
    const given = new AbortController();
    const replaced = errorOf(scene.platform.replace("relay", never, { signal: given.signal }));
    await began.promise;
    given.abort(new Error("enough"));
    expect((await replaced).cause).toMatchObject({ stage: "launch" });
    expect(await createCaller(scene.platform, ["relay"]).call("relay")).toBe("1.0.0 hello");
  });

  it("puts the next one in the place of one that failed", async () => {
    await using scene = await startPlatform({
      plugins: [relayInMemory("relay", { onStart: fails })],
    });
    expect(scene.states()).toEqual(["relay failed"]);
    expect((await scene.platform.replace("relay", relayInMemory("relay"))).from).toBeUndefined();
    expect(await createCaller(scene.platform, ["relay"]).call("relay")).toBe("1.0.0 hello");
  });
});

function isAlive(pid: number | undefined): boolean {
  try {
    return process.kill(pid ?? 0, 0);
  } catch {
    return false;
  }
}
