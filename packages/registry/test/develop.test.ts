import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { type Clock, systemClock } from "@cpg/resilience";
import { FakeClock } from "@cpg/resilience/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DevelopEvent, type DevelopOptions, develop } from "../src/index.ts";
import { runBuildCommand } from "../src/platform/develop/run-build-command.ts";
import { createCaller, errorOf, relayInMemory, startPlatform } from "./support/platform-plugins.ts";

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "develop-"));
  file = join(folder, "version");
  writeFileSync(file, "1.0.0");
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const write = (text: string): void => writeFileSync(file, text);

/** A platform with one plugin, whose version is what the file says. */
async function startDevelopment(options: Partial<DevelopOptions> = {}) {
  const scene = await startPlatform({ plugins: [relayInMemory("store")] });
  const events: DevelopEvent[] = [];
  let look = () => {};
  const development = develop(scene.platform, {
    id: "store",
    files: ["version"],
    cwd: folder,
    debounceMs: 20,
    next: () => relayInMemory("store", { version: readFileSync(file, "utf8") }),
    onEvent(event) {
      events.push(event);
      look();
    },
    ...options,
  });
  const caller = createCaller(scene.platform, ["store"]);
  return {
    ...scene,
    development,
    caller,
    told: events,
    types: () => events.map(({ type }) => type),
    /** Resolves with the next event of this type. */
    next<Type extends DevelopEvent["type"]>(type: Type) {
      const from = events.length;
      return new Promise<Extract<DevelopEvent, { type: Type }>>((resolve) => {
        look = () => {
          const found = events.slice(from).find((event) => event.type === type);
          if (found !== undefined) resolve(found as Extract<DevelopEvent, { type: Type }>);
        };
      });
    },
    async [Symbol.asyncDispose]() {
      await development.close();
      await scene.platform.close({ graceMs: 1_000 });
    },
  };
}

/** Hears of programs that run `callHome`, for as long as they run. */
async function startHome() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const called = Promise.withResolvers<{ ended: Promise<unknown> }>();
  server.on("connection", (socket) => {
    socket.on("error", () => {}); // its program was killed
    const ended = new Promise((resolve) => socket.on("close", resolve));
    called.resolve({ ended });
  });
  return {
    callHome: `require("node:net").connect(${port}, "127.0.0.1");`,
    called: called.promise,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

describe("develop", () => {
  it("replaces the plugin when its files change", async () => {
    await using scene = await startDevelopment();
    expect(await scene.caller.call("store")).toBe("1.0.0 hello");
    const replaced = scene.next("replaced");
    write("1.1.0");
    expect((await replaced).report).toMatchObject({ plugin: "store", callsCut: 0 });
    expect(await scene.caller.call("store")).toBe("1.1.0 hello");
    expect(scene.told[0]).toMatchObject({ type: "changed", files: [file], plugin: "store" });
  });

  it("builds first; what fails is told, the plugin runs on, and the next change is taken up", async () => {
    let fails = true;
    await using scene = await startDevelopment({
      build({ files }) {
        expect(files).toEqual([file]);
        if (fails) throw new Error("does not compile");
      },
    });
    const failed = scene.next("build-failed");
    write("1.1.0");
    expect((await failed).error.message).toBe("does not compile");
    expect(await scene.caller.call("store")).toBe("1.0.0 hello");

    fails = false;
    const refused = scene.next("not-replaced");
    write("not a version");
    expect((await refused).error.message).toContain("version");
    expect(await scene.caller.call("store")).toBe("1.0.0 hello");

    const replaced = scene.next("replaced");
    write("1.2.0");
    await replaced;
    expect(await scene.caller.call("store")).toBe("1.2.0 hello");
    expect(scene.types().slice(-3)).toEqual(["changed", "built", "replaced"]);
  });

  it("runs a command, whose output is in the error", async () => {
    const script = `const { readFileSync } = require("node:fs");
      const text = readFileSync("version", "utf8");
      console.log("version", text);
      if (text === "bad") { console.error("no version"); process.exit(3); }`;
    await using scene = await startDevelopment({ build: [process.execPath, "-e", script] });
    const failed = scene.next("build-failed");
    write("bad");
    const { message } = (await failed).error;
    expect(message).toContain("it exited with code 3");
    expect(message).toContain("version bad\n");
    expect(message).toContain("no version");
    const replaced = scene.next("replaced");
    write("2.0.0");
    await replaced;
    expect(await scene.caller.call("store")).toBe("2.0.0 hello");
  });

  it("ends a running build with all that it started, when it is closed", async () => {
    await using home = await startHome();
    const script = `process.on("SIGTERM", () => process.exit(0));
      require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(home.callHome)}]);`;
    await using scene = await startDevelopment({ build: [process.execPath, "-e", script] });
    write("1.1.0");
    const child = await home.called;
    await scene.development.close();
    await child.ended;
    expect(scene.types()).toEqual(["changed"]);
    write("1.2.0");
    await scene.development.close();
    expect(scene.states()).toEqual(["store running"]);
  });

  it("ends with the platform, also while a build does not", async () => {
    const began = Promise.withResolvers<AbortSignal>();
    await using scene = await startDevelopment({
      build({ signal }) {
        began.resolve(signal);
        return new Promise(() => {});
      },
    });
    write("1.1.0");
    const signal = await began.promise;
    await scene.platform.close({ graceMs: 1_000 });
    expect(signal.aborted).toBe(true);
    await scene.development.close();
    expect(scene.types()).toEqual(["changed"]);
    expect(() => develop(scene.platform, { id: "store", files: [file], next: () => relayInMemory("store") })).toThrow();
  });

  it("needs a plugin that is there", async () => {
    await using scene = await startPlatform();
    const next = () => relayInMemory("store");
    const begin = async () => develop(scene.platform, { id: "store", files: [file], next });
    expect(await errorOf(begin())).toMatchObject({ code: Code.NotFound });
  });

  it.each([
    { option: "debounceMs", options: { debounceMs: 0 } },
    { option: "debounceMs", options: { debounceMs: Number.POSITIVE_INFINITY } },
    { option: "buildTimeoutMs", options: { buildTimeoutMs: 0 } },
    { option: "maxDirectories", options: { maxDirectories: 0.5 } },
    { option: "files", options: { files: [] } },
    { option: "build", options: { build: [] } },
    { option: "build", options: { build: "make" as unknown as string[] } },
    { option: "next", options: { next: undefined as unknown as DevelopOptions["next"] } },
  ])("refuses by name: $option in $options", ({ option, options }) => {
    const platform = {
      plugins: () => [],
      replace: () => Promise.reject(new Error("unused")),
      host: { draining: new AbortController().signal },
    };
    const required = { id: "store", files: [file], next: () => relayInMemory("store") };
    expect(() => develop(platform, { ...required, ...options })).toThrow(option);
  });
});

describe("runBuildCommand", () => {
  const run = (command: readonly string[], clock: Clock = systemClock) =>
    runBuildCommand({ command, cwd: folder, timeoutMs: 20_000, clock, signal: new AbortController().signal });

  it("fails for a program that is not there", async () => {
    await expect(run(["./nowhere"])).rejects.toThrow("ENOENT");
  });

  it("ends what takes too long, also if it does not listen", async () => {
    await using home = await startHome();
    const clock = new FakeClock();
    const running = expect(
      run([process.execPath, "-e", `process.on("SIGTERM", () => {}); ${home.callHome}`], clock),
    ).rejects.toThrow("it took longer than 20000 ms");
    const program = await home.called;
    await clock.advance(20_000);
    await clock.advance(2_000);
    await program.ended;
    await running;
    expect(clock.pending).toBe(0);
  });
});
