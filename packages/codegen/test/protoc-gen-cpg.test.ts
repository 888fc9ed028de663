import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const packageDirectory = fileURLToPath(new URL("..", import.meta.url));
const optionsModule = fileURLToPath(new URL("../../../proto/cpg/options", import.meta.url));
const program = join(packageDirectory, "src/protoc-gen-cpg.ts");

describe("protoc-gen-cpg, run by buf", () => {
  let directory: string;
  const generate = () =>
    run(join(packageDirectory, "node_modules/.bin/buf"), ["generate"], {
      cwd: directory,
      env: { ...process.env, PATH: [join(packageDirectory, "node_modules/.bin"), process.env.PATH].join(delimiter) },
    });
  const proto = (options: string) =>
    writeFile(
      join(directory, "proto/kv.proto"),
      `syntax = "proto3";\npackage kv.v1;\nimport "cpg/options/v1/options.proto";\nservice KV {\n  ${options}\n}\n`,
    );

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "cpg-codegen-"));
    await cp(optionsModule, join(directory, "proto/cpg/options"), { recursive: true });
    await writeFile(join(directory, "buf.yaml"), "version: v2\nmodules: [{ path: proto }]\n");
    const plugin = { local: [process.execPath, program], out: "gen", opt: ["target=ts", "import_extension=ts"] };
    await writeFile(join(directory, "buf.gen.yaml"), JSON.stringify({ version: "v2", plugins: [plugin] }));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it("writes a file beside that of protoc-gen-es", async () => {
    await proto('option (cpg.options.v1.plugin).version = "1.2.3";');
    await generate();
    const generated = await readFile(join(directory, "gen/kv_cpg.ts"), "utf8");
    expect(generated).toContain('import { KV as KV$1 } from "./kv_pb.ts";');
    expect(generated).toContain('version: "1.2.3"');
  });

  it("fails with file, line and rule", async () => {
    await proto('option (cpg.options.v1.plugin).version = "one";');
    await expect(generate()).rejects.toMatchObject({
      stderr: expect.stringContaining("kv.proto:5: (cpg.options.v1.plugin).version must be one semantic version"),
    });
  });

  it("says its version", async () => {
    const { version } = JSON.parse(await readFile(join(packageDirectory, "package.json"), "utf8"));
    expect((await run(process.execPath, [program, "--version"])).stdout).toBe(`protoc-gen-cpg ${version}\n`);
  });
});
