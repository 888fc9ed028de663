// A host that launches ten plugins: eight of ours, one in Go (the program GO) and one in Python (PYTHON, with DESCRIPTORS).
// Each has a child process in its group. Prints a line of JSON once all have started: where it is, and its plugins.
import { fileURLToPath } from "node:url";
import { nodeStrategy, processStrategy } from "@cpg/core";
import { createPlatform, type PlatformPlugin } from "@cpg/registry";
import { kvOfType } from "./kv-of-type.ts";

const { GO = "", PYTHON = "", DESCRIPTORS = "" } = process.env;
const readyTimeoutMs = 60_000;

function ours(id: string): PlatformPlugin {
  const entry = fileURLToPath(new URL("./node-plugin.ts", import.meta.url));
  const strategy = nodeStrategy({ entry, nodeArgs: ["--disable-warning=ExperimentalWarning"], env: { TYPE: id } });
  return { id, strategy, plugins: { [id]: kvOfType(id) }, readyTimeoutMs };
}

/** The shell leaves a child behind and becomes the program, which knows nothing of it. */
function foreign(
  selfId: string,
  type: string,
  program: readonly string[],
  env: Readonly<Record<string, string>> = {},
): PlatformPlugin {
  const args = ["-c", `(trap '' TERM; sleep 1000; sleep 1000) & exec "$0" "$@"`, ...program];
  const provides = [{ type, version: "1.0.0", path: "/kv.v1.KVService/" }];
  const strategy = processStrategy({ command: "/bin/sh", args, env, ready: "any" });
  return { id: selfId, strategy, foreign: { selfId, registers: "itself", provides }, readyTimeoutMs };
}

const platform = await createPlatform({
  host: { listen: { port: 0 }, environment: {} },
  startConcurrency: 4,
  plugins: [
    ...Array.from({ length: 8 }, (_, index) => ours(`ours-${index + 1}`)),
    foreign("go-plugin", "go-kv", [GO, "plugin"], { PROVIDES: "go-kv" }),
    foreign("python-plugin", "python-kv", [PYTHON, fileURLToPath(new URL("../../python/plugin.py", import.meta.url))], {
      DESCRIPTORS,
    }),
  ],
});
const plugins = platform
  .plugins()
  .map(({ id, state, pid, lastError }) => ({ id, state, pid, error: lastError?.message }));
console.log(JSON.stringify({ url: platform.host.endpoint, plugins }));
