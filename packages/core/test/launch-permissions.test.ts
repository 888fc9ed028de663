import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeStrategy } from "../src/launch/process/node-strategy.ts";
import { fixture, get, launchFixture } from "./fixtures/launch-fixture.ts";

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "permissions-"));
  file = join(directory, "data.txt");
  await writeFile(file, "data");
});

afterEach(() => rm(directory, { recursive: true }));

describe("a plugin under Node's permission model", { timeout: 60_000 }, () => {
  it.each([
    { permissions: undefined, read: "data", spawned: "" },
    { permissions: {}, read: "ERR_ACCESS_DENIED", spawned: "ERR_ACCESS_DENIED" },
    { permissions: { fsRead: true }, read: "data", spawned: "ERR_ACCESS_DENIED" },
    { permissions: { fsRead: ["."] }, read: "data", spawned: "ERR_ACCESS_DENIED" },
    { permissions: { childProcess: true }, read: "ERR_ACCESS_DENIED", spawned: "" },
  ] as const)("$permissions: read $read, spawned '$spawned'", async ({ permissions, read, spawned }) => {
    await using plugin = await launchFixture("file-reader.mjs", { cwd: directory, args: [file], permissions });
    expect(plugin.endpoint).toMatch(/^unix:/);
    expect(JSON.parse(await get(plugin.endpoint))).toEqual({ read, spawned });
  });

  it("serves TCP too", async () => {
    await using plugin = await launchFixture("file-reader.mjs", { transport: "tcp", args: [file], permissions: {} });
    expect(JSON.parse(await get(plugin.endpoint))).toMatchObject({ read: "ERR_ACCESS_DENIED" });
  });

  it.each([
    { permissions: { fsRead: "/" }, error: TypeError, message: /permissions\.fsRead must be/ },
    { permissions: { fsWrite: [""] }, error: TypeError, message: /permissions\.fsWrite must be/ },
    { permissions: { worker: 1 }, error: TypeError, message: /permissions\.worker must be/ },
  ])("refuses $permissions", ({ permissions, error, message }) => {
    const make = () => Reflect.apply(nodeStrategy, undefined, [{ entry: fixture("file-reader.mjs"), permissions }]);
    expect(make).toThrow(error);
    expect(make).toThrow(message);
  });
});
