import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { filePatterns } from "../src/platform/develop/file-patterns.ts";
import { watchTree } from "../src/platform/develop/watch-tree.ts";

let folder = "";
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "develop-files-")));
  mkdirSync(join(folder, "src/deep/er"), { recursive: true });
  mkdirSync(join(folder, "src/node_modules/x"), { recursive: true });
  mkdirSync(join(folder, "src/.git"));
  writeFileSync(join(folder, "a.ts"), "");
  writeFileSync(join(folder, "src/b.ts"), "");
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe("files that are meant", () => {
  it.each([
    { file: "a.ts", path: "a.ts", is: true },
    { file: "./a.ts", path: "a.ts", is: true },
    { file: "a.ts", path: "a.ts.bak", is: false },
    { file: "a.ts", path: "src/a.ts", is: false },
    { file: "src", path: "src/b.ts", is: true },
    { file: "src/", path: "src/deep/er/x", is: true },
    { file: "src", path: "src2/b.ts", is: false },
    { file: ".", path: "src/b.ts", is: true },
    { file: "*.ts", path: "x.ts", is: true },
    { file: "*.ts", path: "src/x.ts", is: false },
    { file: "*.ts", path: "xats", is: false },
    { file: "src/**/*.ts", path: "src/x.ts", is: true },
    { file: "src/**/*.ts", path: "src/deep/er/x.ts", is: true },
    { file: "src/**/*.ts", path: "src/deep/er/x.js", is: false },
    { file: "src/**/*.ts", path: "x.ts", is: false },
    { file: "src/*/x.ts", path: "src/deep/x.ts", is: true },
    { file: "src/*/x.ts", path: "src/deep/er/x.ts", is: false },
    { file: "src/**", path: "src/deep/er/x", is: true },
    { file: "src/**/er/**/x?.t", path: "src/deep/er/1/2/xy.t", is: true },
    { file: "src/x?.ts", path: "src/x.ts", is: false },
    { file: "src/x+(1).[t]s*", path: "src/x+(1).[t]s", is: true },
  ])("$file means $path: $is", ({ file, path, is }) => {
    const { matches } = filePatterns([file], folder);
    expect(matches(join(folder, path))).toBe(is);
  });

  it.each([
    { files: [], says: "files must" },
    { files: ["a.ts", ""], says: "files[1]" },
    { files: ["nowhere"], says: "files[0] must be there" },
    { files: ["nowhere/*.ts"], says: "files[0] must begin with a directory" },
    { files: ["src/*.{ts,js}"], says: "files[0] must not have braces" },
  ])("are refused by name: $files", ({ files, says }) => {
    expect(() => filePatterns(files, folder)).toThrow(says);
  });
});

function scene(files: readonly string[], maxDirectories = 100) {
  const seen = new Set<string>();
  const errors: Error[] = [];
  let look = () => {};
  const watch = watchTree({
    roots: filePatterns(files, folder).roots,
    maxDirectories,
    onChange(path) {
      seen.add(path.slice(folder.length + 1));
      look();
    },
    onError(error) {
      errors.push(error);
      look();
    },
  });
  const until = (is: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      look = () => is() && resolve();
      look();
    });
  return {
    seen,
    errors,
    until,
    /** Resolves when a change of this file was heard of, from now on. */
    sees(path: string) {
      seen.delete(path);
      return until(() => seen.has(path));
    },
    [Symbol.dispose]: () => watch.close(),
  };
}

const write = (path: string): void => writeFileSync(join(folder, path), "changed");

describe("watchTree", () => {
  it("hears of files at any depth that are written, made, moved and removed", async () => {
    using tree = scene(["."]);
    const written = tree.sees("src/b.ts");
    write("src/b.ts");
    await written;
    const made = tree.sees("src/deep/er/new.ts");
    write("src/deep/er/new.ts");
    await made;
    const moved = tree.sees("src/moved.ts");
    renameSync(join(folder, "src/deep/er/new.ts"), join(folder, "src/moved.ts"));
    await moved;
    const removed = tree.sees("src/moved.ts");
    rmSync(join(folder, "src/moved.ts"));
    await removed;
  });

  it("finds what is in new directories, and in those that took the place of others", async () => {
    using tree = scene(["src"]);
    const found = tree.sees("src/new/1/x.ts");
    mkdirSync(join(folder, "src/new/1"), { recursive: true });
    write("src/new/1/x.ts");
    await found;
    for (const round of ["y.ts", "z.ts"]) {
      rmSync(join(folder, "src/new"), { recursive: true });
      mkdirSync(join(folder, "src/new/1"), { recursive: true });
      const again = tree.sees(`src/new/1/${round}`);
      write(`src/new/1/${round}`);
      await again;
    }
    mkdirSync(join(folder, "src/other/deep"), { recursive: true });
    renameSync(join(folder, "src/other"), join(folder, "src/another"));
    const inMoved = tree.sees("src/another/deep/x.ts");
    write("src/another/deep/x.ts");
    await inMoved;
    expect(tree.errors).toEqual([]);
  });

  it("does not look into hidden directories and node_modules, nor beside a file", async () => {
    using tree = scene(["src"]);
    using beside = scene(["a.ts"]);
    write("src/node_modules/x/index.js");
    write("src/.git/HEAD");
    write("src/.hidden");
    write("src/deep/seen.ts");
    write("a.ts");
    await tree.until(() => tree.seen.has("src/deep/seen.ts"));
    await beside.until(() => beside.seen.has("a.ts"));
    expect([...tree.seen]).toEqual(["src/deep/seen.ts"]);
    expect([...beside.seen]).toEqual(["a.ts"]);
  });

  it("watches only so many directories", async () => {
    expect(() => scene(["src"], 2)).toThrow("raise maxDirectories");
    using tree = scene(["src"], 3);
    mkdirSync(join(folder, "src/more"));
    await tree.until(() => tree.errors.length > 0);
    expect(tree.errors[0]?.message).toContain("raise maxDirectories");
    const still = tree.sees("src/deep/x.ts");
    write("src/deep/x.ts");
    await still;
  });

  it("says when what it watches is gone", async () => {
    using tree = scene(["src"]);
    rmSync(join(folder, "src"), { recursive: true });
    await tree.until(() => tree.errors.length > 0);
    expect(tree.errors[0]?.message).toContain("is gone");
  });

  it("hears nothing once it is closed", async () => {
    const tree = scene(["src"]);
    using other = scene(["src"]);
    tree[Symbol.dispose]();
    write("src/b.ts");
    await other.until(() => other.seen.has("src/b.ts"));
    expect([...tree.seen]).toEqual([]);
  });
});
