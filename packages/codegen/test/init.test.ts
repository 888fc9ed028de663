import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

// That the projects install, build, pass their own tests and run, `pnpm smoke` shows: it takes a registry.

const program = fileURLToPath(new URL("../src/cli.ts", import.meta.url));
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cpg-init-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function codegen(...args: string[]) {
  const flags = ["--disable-warning=ExperimentalWarning"];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, program, ...args], { cwd: directory });
  return { status, stdout: String(stdout), stderr: String(stderr) };
}

const filesOf = (folder: string): string[] =>
  readdirSync(join(directory, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(directory, folder).length + 1))
    .toSorted();

describe("init", () => {
  it("writes a plugin", () => {
    const { status, stdout } = codegen("init", "url-store-plugin");
    expect(status).toBe(0);
    expect(stdout).toContain("cd url-store-plugin\n  npm install\n  npm run build\n");
    expect(filesOf("url-store-plugin")).toEqual([
      ".gitignore",
      "README.md",
      "buf.gen.yaml",
      "buf.yaml",
      "package.json",
      "proto/url_store/v1/url_store.proto",
      "src/greeter.ts",
      "src/main.ts",
      "test/greeter.test.ts",
      "tsconfig.json",
    ]);
    const read = (file: string): string => readFileSync(join(directory, "url-store-plugin", file), "utf8");
    expect(JSON.parse(read("package.json"))).toMatchObject({ name: "url-store-plugin", type: "module" });
    expect(read("proto/url_store/v1/url_store.proto")).toContain("service UrlStoreService {");
    expect(read("src/main.ts")).toContain('plugins: { "url-store": urlStorePlugin }');
  });

  it("--host writes a host, for the plugin of the same name", () => {
    expect(codegen("init", "--host", "my-host").status).toBe(0);
    expect(filesOf("my-host")).toContain("src/start-plugin.ts");
    expect(filesOf("my-host")).toContain("test/host.test.ts");
    expect(codegen("init", "my-plugin").status).toBe(0);
    const proto = (project: string): string => readFileSync(join(directory, project, "proto/my/v1/my.proto"), "utf8");
    expect(proto("my-host")).toBe(proto("my-plugin"));
  });

  it("writes into a folder that is there and empty, but overwrites nothing", () => {
    mkdirSync(join(directory, "empty"));
    expect(codegen("init", "empty").status).toBe(0);
    mkdirSync(join(directory, "mine"));
    writeFileSync(join(directory, "mine/notes.txt"), "mine");
    const { status, stderr } = codegen("init", "mine");
    expect(status).toBe(2);
    expect(stderr).toMatch(/mine is there already, and not empty/);
    expect(filesOf("mine")).toEqual(["notes.txt"]);
    writeFileSync(join(directory, "file"), "");
    expect(codegen("init", "file").stderr).toMatch(/file is a file/);
  });

  it.each([
    { args: [], says: "a command is required" },
    { args: ["new", "x"], says: 'there is no command "new"' },
    { args: ["init"], says: "init takes the name of the project" },
    { args: ["init", "a", "b"], says: "init takes one name" },
    { args: ["init", "--hots", "a"], says: "'--hots'" },
    { args: ["init", "My-Plugin"], says: "the name must have lower-case letters" },
    { args: ["init", "--host=yes", "a"], says: "'--host' does not take an argument" },
  ])("$args: says what is wrong, writes nothing and ends with 2", ({ args, says }) => {
    const before = readdirSync(directory);
    const { status, stdout, stderr } = codegen(...args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(says);
    expect(stderr).toContain("npx @cpg/codegen init NAME");
    expect(readdirSync(directory)).toEqual(before);
  });

  it("--help tells how it is called", () => {
    const { status, stdout } = codegen("init", "--help");
    expect(status).toBe(0);
    expect(stdout).toContain("init --host NAME");
  });
});
