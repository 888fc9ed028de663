import { describe, expect, it } from "vitest";
import { buildChildEnvironment, DEFAULT_INHERITED } from "./child-environment.ts";
import { checkNodePermissions, permissionFlags } from "./node-permissions.ts";
import { nodeStrategy } from "./node-strategy.ts";
import { checkPlatform, processStrategy } from "./process-strategy.ts";

describe("options of processStrategy", () => {
  it.each([
    { options: { command: "" }, error: TypeError, message: /^command must not be empty/ },
    { options: { command: "a\0b" }, error: TypeError, message: /^command must be a string without NUL/ },
    { options: { args: ["a\0b"] }, error: TypeError, message: /^args must be a string without NUL/ },
    { options: { env: { PORT: "1" } }, error: TypeError, message: /^env\.PORT is set by the launch/ },
    { options: { env: { HOST_URL: "x" } }, error: TypeError, message: /^env\.HOST_URL is set by the launch/ },
    { options: { env: { "A=B": "1" } }, error: TypeError, message: /^env has a bad name "A=B"/ },
    { options: { env: { A: "1\0" } }, error: TypeError, message: /^env\.A must be a string without NUL/ },
    { options: { inheritEnv: ["*"] }, error: TypeError, message: /^inheritEnv must hold names/ },
    { options: { inheritEnv: ["A*B"] }, error: TypeError, message: /^inheritEnv must hold names/ },
    { options: { transport: "udp" }, error: TypeError, message: /^transport must be "unix" or "tcp"/ },
    { options: { ready: "soon" }, error: TypeError, message: /^ready must be "line" or "any"/ },
    { options: { checksum: { f: "abc" } }, error: TypeError, message: /^checksum of f must be 64 hex digits/ },
    { options: { maxLineBytes: 255 }, error: RangeError, message: /^maxLineBytes must be a whole number from 256/ },
    {
      options: { maxLinesPerSecond: 0 },
      error: RangeError,
      message: /^maxLinesPerSecond must be a whole number from 1/,
    },
  ])("refuses $options", ({ options, error, message }) => {
    const make = () => Reflect.apply(processStrategy, undefined, [{ command: "x", ...options }]);
    expect(make).toThrow(error);
    expect(make).toThrow(message);
  });

  it("refuses Windows", () => {
    expect(() => checkPlatform("win32")).toThrow("not supported on Windows yet");
    expect(() => checkPlatform("darwin")).not.toThrow();
  });

  it("names the kind of strategy", () => {
    expect(processStrategy({ command: "x" }).kind).toBe("process");
    expect(nodeStrategy({ entry: "x.js" }).kind).toBe("node");
  });
});

describe("buildChildEnvironment", () => {
  const host = { PATH: "/bin", LC_ALL: "C", SECRET: "s", PORT: "1", HOST_URL: "http://up", CPG_CONTROL_TOKEN: "t" };

  it("takes the listed names from the host, then the plugin's own, then the launch's", () => {
    expect(buildChildEnvironment(host, DEFAULT_INHERITED, { A: "1" }, { PORT: "2" })).toEqual({
      PATH: "/bin",
      LC_ALL: "C",
      A: "1",
      PORT: "2",
    });
    expect(buildChildEnvironment(host, ["PATH"], { PATH: "/own" }, {})).toEqual({ PATH: "/own" });
  });

  it("never passes on what the host itself was launched with", () => {
    expect(buildChildEnvironment(host, ["PORT", "HOST_*", "CPG_*", "S*"], {}, {})).toEqual({ SECRET: "s" });
  });
});

describe("permissions of nodeStrategy", () => {
  const place = { entry: import.meta.filename, cwd: "/data", socketDirectory: "/tmp/cpg-1" };
  const node24 = new Set(["--permission", "--allow-child-process", "--allow-worker", "--allow-addons", "--allow-wasi"]);
  const node26 = new Set([...node24, "--allow-net"]);

  it("grants what the program itself needs, and no more", () => {
    const flags = permissionFlags({}, place, node24);
    expect(flags[0]).toBe("--permission");
    expect(flags).toContain(`--allow-fs-read=${import.meta.dirname}`);
    expect(flags).toContain("--allow-fs-read=/tmp/cpg-1");
    expect(flags.filter((flag) => flag.startsWith("--allow-fs-write"))).toEqual(["--allow-fs-write=/tmp/cpg-1"]);
    expect(flags.filter((flag) => !flag.startsWith("--allow-fs"))).toEqual(["--permission"]);
  });

  it("grants what is listed", () => {
    const flags = permissionFlags(
      { fsRead: ["in"], fsWrite: ["/out"], worker: true, wasi: true, addons: false },
      place,
      node24,
    );
    expect(flags).toEqual(
      expect.arrayContaining(["--allow-fs-read=/data/in", "--allow-fs-write=/out", "--allow-worker", "--allow-wasi"]),
    );
    expect(flags).not.toContain("--allow-addons");
    const all = permissionFlags({ fsRead: true, fsWrite: true }, place, node24);
    expect(all).toEqual(["--permission", "--allow-fs-read=*", "--allow-fs-write=*"]);
  });

  it("leaves the network open, where Node would close it", () => {
    expect(permissionFlags({}, place, node26)).toContain("--allow-net");
    expect(permissionFlags({}, place, node24)).not.toContain("--allow-net");
  });

  it.each([
    { flags: [], message: /^permissions cannot be restricted by Node v/ },
    {
      flags: ["--permission", "--allow-child-process", "--allow-worker", "--allow-addons"],
      message: /^permissions\.wasi cannot be/,
    },
  ])("are refused where Node knows only $flags", ({ flags, message }) => {
    expect(() => checkNodePermissions({}, new Set(flags))).toThrow(RangeError);
    expect(() => checkNodePermissions({}, new Set(flags))).toThrow(message);
  });
});
