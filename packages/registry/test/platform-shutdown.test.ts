import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { createDepartures } from "./support/departures.ts";
import { endingPlugins } from "./support/ending-plugin.ts";

const program = fileURLToPath(new URL("./fixtures/ending-host.ts", import.meta.url));

/** A host with its plugins, each a process; they have started. */
async function startHost(env: Readonly<Record<string, string>>) {
  const directory = await mkdtemp(join(tmpdir(), "ending-"));
  const departures = await createDepartures();
  const log = join(directory, "log");
  const host = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
    env: { PATH: process.env.PATH, GRACE_MS: "20000", ...env, LOG: log, WITNESS: departures.path },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const exited = once(host, "exit");
  const complaint = text(host.stderr);
  const ended = exited.then(async (exit) => Promise.reject(new Error(`the host ended: ${exit} ${await complaint}`)));
  ended.catch(() => {}); // matters only until it has started
  await Promise.race([once(host.stdout, "data"), ended]);
  return {
    host,
    exited,
    complaint,
    /** Resolves when no plugin is left. */
    allLeft: () => Promise.all(endingPlugins.map((name) => departures.left(name))),
    log: async () => (await readFile(log, "utf8")).trimEnd().split("\n"),
    async [Symbol.asyncDispose]() {
      host.kill("SIGKILL");
      await exited;
      await departures[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

describe("a host with plugins that is told to end", { timeout: 60_000 }, () => {
  it("by SIGTERM asks each plugin once those that need it have ended, and ends by that signal", async () => {
    await using scene = await startHost({});
    scene.host.kill("SIGTERM");
    expect(await scene.exited).toEqual([null, "SIGTERM"]);
    await scene.allLeft();
    expect(await scene.log()).toEqual(["last drains", "last ends", "first drains", "first ends"]);
    expect(await scene.complaint).toBe("");
  });

  it("by SIGINT does the same, and ends a plugin that does not listen once the grace is over", async () => {
    await using scene = await startHost({ GRACE_MS: "1000", STUBBORN: "first" });
    scene.host.kill("SIGINT");
    expect(await scene.exited).toEqual([null, "SIGINT"]);
    await scene.allLeft();
    expect((await scene.log()).slice(-2)).toEqual(["first drains", "first gets SIGTERM"]);
  });
});

describe("a host with plugins that ends by a mistake", { timeout: 60_000 }, () => {
  it.each([
    { how: "throw", code: 1, complaint: "a mistake of the host" },
    { how: "reject", code: 1, complaint: "a mistake of the host" },
    { how: "exit", code: 7, complaint: "" },
  ])("($how) leaves no plugin, and each gets SIGTERM first", async ({ how, code, complaint }) => {
    await using scene = await startHost({ STUBBORN: "first" });
    scene.host.stdin.write(how);
    expect(await scene.exited).toEqual([code, null]);
    expect(await scene.complaint).toContain(complaint);
    await scene.allLeft();
    const told = (await scene.log()).filter((line) => line.endsWith("SIGTERM"));
    expect(told.toSorted()).toEqual(["first gets SIGTERM", "last gets SIGTERM"]);
  });
});
