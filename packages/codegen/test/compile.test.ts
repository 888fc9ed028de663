import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Complaint, compile, strictest } from "./support/compile.ts";
import { goldenCases, goldenDirectory, readGolden } from "./support/golden-cases.ts";

const packageDirectory = fileURLToPath(new URL("..", import.meta.url));
const tsc = join(packageDirectory, "node_modules/.bin/tsc");

/** With `ts_nocheck` there would be nothing to see. */
const compiled = goldenCases.filter(({ parameter }) => !parameter.includes("ts_nocheck"));

/** Imports without extensions are for bundlers. */
const bundled = (name: string) => name === "import-extension-none";

/** It is wrong: that the compiler says so shows that it would say so of a generated file. */
const control = {
  file: "control.ts",
  text: 'import { kvPlugin } from "./settings/v1/defaults_cpg.ts";\nexport const wrong: number = kvPlugin.name;\n',
};

describe("TypeScript 5 with the strictest settings", () => {
  it.each(compiled)("compiles $name", ({ name, ...golden }) => {
    const files = readGolden({ name, ...golden });
    expect(compile(files, { bundling: bundled(name) })).toEqual([]);
  });

  it("would find what is wrong", () => {
    const [ts] = goldenCases;
    const files = new Map([...(ts ? readGolden(ts) : []), [control.file, control.text]]);
    expect(compile(files)).toEqual([expect.objectContaining({ file: control.file, line: 2, code: 2322 })]);
  });
});

describe("TypeScript 7 with the strictest settings", () => {
  let directory: string;

  beforeAll(async () => {
    await mkdir(join(packageDirectory, ".vitest"), { recursive: true });
    directory = await mkdtemp(join(packageDirectory, ".vitest", "compile-"));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it("compiles every case, and finds what is wrong", async () => {
    const complaints: Complaint[] = [];
    for (const bundling of [false, true]) {
      const config = join(directory, `tsconfig.${bundling ? "bundler" : "node"}.json`);
      await writeFile(join(directory, control.file), control.text.replace("./", "../../test/golden/ts/"));
      await writeFile(
        config,
        JSON.stringify({
          compilerOptions: {
            ...strictest,
            target: "es2023",
            lib: ["es2024", "esnext.disposable"],
            types: ["node"],
            module: bundling ? "esnext" : "nodenext",
            moduleResolution: bundling ? "bundler" : "nodenext",
          },
          files: [control.file],
          include: compiled
            .filter(({ name }) => bundled(name) === bundling)
            .map(({ name }) => relative(directory, join(goldenDirectory, name))),
        }),
      );
      complaints.push(...(await complaintsOf(config)));
    }
    const wrong = expect.objectContaining({ file: control.file, line: 2, code: 2322 });
    expect(complaints).toEqual([wrong, wrong]);
  });
});

/** What tsc says of generated files and of the control; core's source is compiled with settings of its own. */
async function complaintsOf(config: string): Promise<Complaint[]> {
  const cwd = dirname(config);
  const output = await new Promise<string>((resolve) => {
    execFile(tsc, ["-p", config, "--pretty", "false"], { cwd }, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
  return output
    .split("\n")
    .map((line) => /^(.+)\((\d+),\d+\): error TS(\d+): (.*)$/.exec(line) ?? /^()()error TS(\d+): (.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, file = "", line, code, text = ""]) => ({ file, line: Number(line), code: Number(code), text }))
    .filter(({ file }) => file === "" || file.includes("golden/") || file === control.file);
}
