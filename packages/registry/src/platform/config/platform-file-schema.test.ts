import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { parsePlatformFile } from "./platform-file-schema.ts";

const kv = { id: "kv", serves: ["kv"], node: { entry: "./kv.js" } };

function refusal(data: unknown): ConnectError {
  try {
    parsePlatformFile(typeof data === "string" ? data : JSON.stringify(data));
  } catch (reason) {
    return ConnectError.from(reason);
  }
  throw new Error("it was taken");
}

describe("parsePlatformFile", () => {
  it("takes all that it knows", () => {
    const file = {
      host: { listen: { port: 0, host: "::1" }, publicUrl: "http://h:1", graceMs: 0, identityTtlMs: 1 },
      startConcurrency: 2,
      maxPlugins: 3,
      plugins: [
        {
          ...kv,
          optional: true,
          readyTimeoutMs: 1,
          requires: [{ type: "log", minVersion: "1.0.0", requiredForStartup: false, watchForChanges: true }],
          restart: {
            backoff: { initialMs: 1, maxMs: 2, factor: 3, jitter: "none" },
            maxRestarts: 0,
            windowMs: 1,
            stableMs: 1,
          },
          probe: { intervalMs: 1, timeoutMs: 1, failures: 1 },
          node: {
            entry: "./kv.js",
            nodeArgs: ["--trace-warnings"],
            permissions: { fsRead: true, fsWrite: ["data"], childProcess: true },
            env: { MODE: "" },
            inheritEnv: ["PATH"],
            transport: "tcp",
            ready: "any",
            checksum: { "kv.js": "0".repeat(64) },
            maxLineBytes: 256,
            maxLinesPerSecond: 1,
          },
        },
        {
          id: "go",
          probe: false,
          process: { command: "./go", args: [""], cwd: "go" },
          foreign: { selfId: "go", registers: "host", provides: [{ type: "go", version: "1.0.0", path: "/go/" }] },
        },
        { id: "far", endpoint: "http://far:1", shutdown: true, attach: { controlTokenFile: "token" }, provides: [] },
      ],
    };
    expect(parsePlatformFile(JSON.stringify(file))).toEqual(file);
    expect(parsePlatformFile("{}")).toEqual({});
  });

  it.each([
    { data: "{", says: "it is no JSON" },
    { data: [], says: "the top level: " },
    { data: { plugin: [] }, says: 'Unrecognized key: "plugin"' },
    { data: { host: { listen: { port: "8080" } } }, says: "host.listen.port: " },
    { data: { host: { listen: { port: 70_000 } } }, says: "host.listen.port: " },
    { data: { plugins: [{ ...kv, id: 1 }] }, says: "plugins[0].id: " },
    { data: { plugins: [kv, { ...kv, node: {} }] }, says: "plugins[1].node.entry: " },
    {
      data: { plugins: [{ ...kv, process: { command: "x" } }] },
      says: "plugins[0]: must have exactly one of node and",
    },
    {
      data: { plugins: [{ id: "kv", serves: ["kv"] }] },
      says: "plugins[0]: must have exactly one of node and process",
    },
    { data: { plugins: [{ ...kv, endpoint: "http://far:1" }] }, says: "has serves, endpoint" },
    { data: { plugins: [{ id: "kv" }] }, says: "plugins[0]: must have exactly one of serves, foreign and endpoint" },
    { data: { plugins: [{ ...kv, shutdown: true }] }, says: "plugins[0].shutdown: " },
    { data: { plugins: [{ ...kv, provides: [] }] }, says: "plugins[0].provides: " },
    { data: { plugins: [{ ...kv, restart: { maxRestarts: -1 } }] }, says: "plugins[0].restart.maxRestarts: " },
    { data: { plugins: [{ ...kv, restart: { windowMs: 0 } }] }, says: "plugins[0].restart.windowMs: " },
    { data: { plugins: [{ ...kv, probe: { failures: 0 } }] }, says: "plugins[0].probe.failures: " },
    { data: { plugins: [{ ...kv, readyTimeoutMs: 1e300 }] }, says: "plugins[0].readyTimeoutMs: " },
    {
      data: { plugins: [{ id: "go", process: { command: "go" }, foreign: { selfId: "go", registers: "nobody" } }] },
      says: "plugins[0].foreign.registers: ",
    },
    {
      data: { plugins: [{ id: "far", endpoint: "http://far:1", node: kv.node }] },
      says: "plugins[0]: is not launched",
    },
  ])("refuses by path and rule: $says", ({ data, says }) => {
    const error = refusal(data);
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toContain(says);
  });

  it("never repeats a value, which may be a secret", () => {
    const secret = "s3cret-value";
    const entries = [
      `{"plugins": [{"id": "kv", "env": "${secret}`,
      { plugins: [{ ...kv, node: { entry: "x", env: { PASSWORD: [secret] } } }] },
      { plugins: [{ ...kv, node: { entry: "x", checksum: { x: secret } } }] },
      { plugins: [{ ...kv, probe: secret }] },
      { host: { listen: secret } },
    ];
    for (const entry of entries) expect(refusal(entry).message).not.toContain(secret);
  });
});
