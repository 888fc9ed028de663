// Installs every public package, from the tarball that would be published and with none beside it but those that the page
// shows, and runs the programs of its README and its other pages; the program of the top README too. Needs a build: `pnpm build` first (`pnpm smoke` sees to it).
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { shownCommands, smokeProjects } from "./project-smoke.ts";
import { type ReadmeProgram, readmeProgram } from "./readme-program.ts";
import { mustRun, runCommand } from "./run-command.ts";
import { type Manifest, publicPackages, readManifest, repositoryRoot } from "./workspace-packages.ts";

const commandTimeoutMs = 120_000;
const programTimeoutMs = 60_000;

interface Page {
  readonly file: string;
  readonly markdown: string;
}

interface Packed {
  readonly tarball: string;
  /** As published: no `workspace:` and no `catalog:` any more. */
  readonly manifest: Manifest;
  /** README.md first; others only if they show a program. */
  readonly pages: readonly Page[];
}

async function pack(directory: string, into: string): Promise<Packed> {
  if (!existsSync(join(directory, "dist"))) throw new Error(`${directory} has no dist: run \`pnpm build\` first`);
  const { name } = readManifest(directory);
  const folder = join(into, name.replace("/", "-"));
  mkdirSync(folder);
  const tarball = join(folder, "package.tgz");
  await mustRun("pnpm", ["pack", "--out", tarball], { cwd: directory, timeoutMs: commandTimeoutMs });
  await mustRun("tar", ["-xzf", tarball], { cwd: folder, timeoutMs: commandTimeoutMs });
  const unpacked = join(folder, "package");
  return { tarball, manifest: readManifest(unpacked), pages: pagesOf(unpacked) };
}

function pagesOf(unpacked: string): Page[] {
  const page = (file: string): Page => ({ file, markdown: readFileSync(join(unpacked, file), "utf8") });
  const others = readdirSync(unpacked).filter((file) => file.endsWith(".md") && file !== "README.md");
  const shown = others.map(page).filter(({ markdown }) => readmeProgram(markdown) !== undefined);
  return [page("README.md"), ...shown];
}

/** The names of our packages that `name` brings in by what it declares, itself among them. */
function declared(name: string, packed: ReadonlyMap<string, Packed>, seen = new Set<string>()): Set<string> {
  const found = packed.get(name);
  if (found === undefined) throw new Error(`${name} is declared as a dependency but is not published`);
  seen.add(name);
  for (const dependency of Object.keys(found.manifest.dependencies ?? {})) {
    if (dependency.startsWith("@cpg/") && !seen.has(dependency)) declared(dependency, packed, seen);
  }
  return seen;
}

async function install(names: readonly string[], packed: ReadonlyMap<string, Packed>, directory: string) {
  mkdirSync(directory);
  const expected = new Set(names.flatMap((name) => [...declared(name, packed)]));
  const file = (name: string) => `file:${packed.get(name)?.tarball}`;
  const peers = names.flatMap((name) => Object.entries(packed.get(name)?.manifest.peerDependencies ?? {}));
  const manifest = {
    name: "smoke",
    private: true,
    type: "module",
    dependencies: Object.fromEntries([...peers, ...names.map((name) => [name, file(name)])]),
  };
  // JSON is YAML. Only what the package declares is overridden, so that anything else would have to come from outside.
  const workspace = {
    packages: [],
    overrides: Object.fromEntries([...expected].map((name) => [name, file(name)])),
    updateNotifier: false,
  };
  writeFileSync(join(directory, "package.json"), JSON.stringify(manifest));
  writeFileSync(join(directory, "pnpm-workspace.yaml"), JSON.stringify(workspace));
  await mustRun("pnpm", ["install", "--prefer-offline", "--no-frozen-lockfile"], {
    cwd: directory,
    timeoutMs: commandTimeoutMs,
  });
  const installed = readdirSync(join(directory, "node_modules/.pnpm"))
    .filter((entry) => entry.startsWith("@cpg+"))
    .map((entry) => entry.replace("+", "/").replace(/@file.*|@\d.*/, ""));
  const surplus = installed.filter((name) => !expected.has(name));
  if (surplus.length > 0) throw new Error(`brought in without being declared: ${surplus.join(", ")}`);
}

/** The README's files under the strictest settings, against the types in the tarball. */
async function compile(directory: string) {
  const types = join(repositoryRoot, "packages/toolchain/node_modules/@types");
  const { compilerOptions } = JSON.parse(readFileSync(join(repositoryRoot, "tsconfig.base.json"), "utf8"));
  // All declaration files are checked too; those of Connect need the names of the DOM.
  const options = { ...compilerOptions, lib: [...compilerOptions.lib, "dom"], skipLibCheck: false, typeRoots: [types] };
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["*.ts"] }));
  const tsc = join(repositoryRoot, "packages/toolchain/node_modules/.bin/tsc");
  await mustRun(tsc, ["-p", directory], { cwd: directory, timeoutMs: commandTimeoutMs });
}

async function runProgram(program: ReadmeProgram, directory: string) {
  for (const [name, code] of program.files) writeFileSync(join(directory, name), code);
  await compile(directory);
  for (const { entry, output: expected } of program.runs) {
    const options = { cwd: directory, timeoutMs: programTimeoutMs, env: { NO_COLOR: "1" } };
    const { exitCode, stdout, output } = await runCommand("node", [entry], options);
    if (exitCode !== 0)
      throw new Error(`node ${entry} ended with ${exitCode ?? "nothing, within its time"}\n${output}`);
    const printed = stripVTControlCharacters(stdout).trimEnd();
    if (expected !== undefined && printed !== expected) {
      throw new Error(`node ${entry} printed\n${printed}\nbut its README says\n${expected}\nall output:\n${output}`);
    }
    console.log(`  node ${entry}: ${expected === undefined ? "ends with 0" : "prints what the README says"}`);
  }
}

async function smoke(
  names: readonly string[],
  markdown: string,
  packed: ReadonlyMap<string, Packed>,
  directory: string,
) {
  const program = readmeProgram(markdown);
  if (program === undefined) throw new Error("it has no program");
  await install(names, packed, directory);
  console.log(
    `  installed, all in all ${[...new Set(names.flatMap((name) => [...declared(name, packed)]))].join(", ")}`,
  );
  await runProgram(program, directory);
}

/** The packages that a page imports. */
function shownIn(markdown: string): string[] {
  return [...new Set([...markdown.matchAll(/from "(@cpg\/[\w-]+)/g)].map(([, name = ""]) => name))];
}

const work = mkdtempSync(join(tmpdir(), "cpg-smoke-"));
let failures = 0;
try {
  const packed = new Map<string, Packed>();
  for (const { directory, manifest } of publicPackages()) packed.set(manifest.name, await pack(directory, work));
  const projectPage = packed.get("@cpg/codegen")?.pages[0]?.markdown ?? "";
  const topReadme = readFileSync(join(repositoryRoot, "README.md"), "utf8");
  const cases = [
    ...[...packed].flatMap(([name, { pages }]) =>
      pages.map(({ file, markdown }) => ({
        title: `${name}, ${file}`,
        names: file === "README.md" ? [...new Set([name, ...shownIn(markdown)])] : shownIn(markdown),
        markdown,
      })),
    ),
    { title: "README.md of the repository", names: shownIn(topReadme), markdown: topReadme },
  ];
  const attempt = async (title: string, work: () => Promise<void>): Promise<void> => {
    console.log(title);
    try {
      await work();
    } catch (error) {
      failures += 1;
      console.error(`  FAILED: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  for (const [index, { title, names, markdown }] of cases.entries()) {
    if (markdown === projectPage) continue; // commands, no program
    await attempt(title, () => smoke(names, markdown, packed, join(work, `case-${index}`)));
  }
  const tarballs = new Map([...packed].map(([name, { tarball }]) => [name, tarball]));
  const [plugin = [], host = []] = shownCommands(projectPage);
  await attempt("a plugin and a host from an empty folder", () =>
    smokeProjects({
      projects: [
        { commands: plugin, prints: [/^my listens on http/m], serves: true },
        { commands: host, prints: [/^\[plugin\] my listens on /m, /^hello world$/m], serves: false },
      ],
      tarballs,
      directory: join(work, "projects"),
    }),
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;
