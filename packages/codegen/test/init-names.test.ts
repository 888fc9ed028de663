import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectDependencies } from "../src/init/dependencies.ts";
import { hostProject } from "../src/init/host-project.ts";
import { pluginProject } from "../src/init/plugin-project.ts";
import type { ProjectFiles } from "../src/init/project-files.ts";
import { type ProjectKind, projectNames, UsageError } from "../src/init/project-name.ts";
import { compile } from "./support/compile.ts";
import { descriptorsOf } from "./support/descriptors.ts";
import { generateAll } from "./support/generate.ts";

const dependencies = projectDependencies();
const kinds: readonly ProjectKind[] = ["plugin", "host"];

function projectFiles(name: string, kind: ProjectKind): ProjectFiles {
  return (kind === "host" ? hostProject : pluginProject)(projectNames(name, kind), dependencies);
}

/** Names that mean something to npm, to .proto files or to JavaScript. */
const tellingNames =
  "any await buf class cpg default extends import message new node object option package plugin promise proto rpc service src stream string test x a1-2b url-store-plugin my-host my-plugin".split(
    " ",
  );

/** Names of which the same is made as a project's code has already: of types and of plugins. */
function namesInCode(kind: ProjectKind): readonly string[] {
  const code = Object.entries(projectFiles("sample", kind)).filter(([path]) => path.endsWith(".ts"));
  const words = code.flatMap(([, text]) => text.match(/\b(?:[A-Z][A-Za-z]+|[a-z][A-Za-z]*Plugin)\b/g) ?? []);
  const dashed = words.map((word) => word.replace(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase());
  return dashed.map((word) => word.replace(/-plugin$/, ""));
}

interface Project {
  readonly title: string;
  readonly files: ProjectFiles;
}

function projectsOf(kind: ProjectKind): { readonly projects: readonly Project[]; readonly refused: readonly string[] } {
  const projects: Project[] = [];
  const refused: string[] = [];
  for (const name of new Set([...tellingNames, ...namesInCode(kind)])) {
    try {
      projects.push({ title: `${kind}/${name}`, files: projectFiles(name, kind) });
    } catch (reason) {
      if (!(reason instanceof UsageError)) throw reason;
      refused.push(name);
    }
  }
  return { projects, refused };
}

const refusedNames = {
  plugin: ["code", "connect-error", "launch"],
  host: ["code", "connect-error", "start", "supervise"],
};

describe.each(kinds)("of a %s", (kind) => {
  const { projects, refused } = projectsOf(kind);
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "cpg-init-names-"));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it("the code compiles under the strictest settings, whatever it is called", async () => {
    const sources = new Map<string, string>();
    for (const { title, files } of projects) {
      for (const [path, text] of Object.entries(files)) {
        if (path.endsWith(".ts")) sources.set(`${title}/${path}`, text);
        if (!path.endsWith(".proto")) continue;
        const file = join(directory, path.replace(/^proto\//, ""));
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text);
      }
    }
    const { file: descriptors } = await descriptorsOf(directory);
    const generated = generateAll({ files: descriptors, parameter: "target=ts,import_extension=ts" });
    for (const { title, files } of projects) {
      const proto = Object.keys(files).find((path) => path.endsWith(".proto")) ?? "";
      const stem = proto.replace(/^proto\//, "").replace(/\.proto$/, "");
      for (const path of [`${stem}_pb.ts`, `${stem}_cpg.ts`, "cpg/options/v1/options_pb.ts"]) {
        sources.set(`${title}/src/gen/${path}`, generated.get(path) ?? "");
      }
    }
    expect(projects.length).toBeGreaterThan(tellingNames.length);
    expect(compile(sources, { look: (path) => !path.includes("/gen/cpg/") })).toEqual([]);
  });

  it("a name is refused of which is made what its code already has, and no other", () => {
    expect(refused.toSorted()).toEqual(refusedNames[kind]);
  });
});

describe("the name of a project", () => {
  it.each([
    { name: "1st", says: "begin with a letter" },
    { name: "a--b", says: "single dashes" },
    { name: "A", says: 'lower-case letters, digits and single dashes, and begin with a letter, got "A"' },
    { name: "../elsewhere", says: "the name must have" },
    { name: "", says: "the name must have" },
    { name: "@me/mine", says: "the name must have" },
    { name: "a".repeat(65), says: "at most 64 characters, has 65" },
    { name: "launch-plugin", says: "the project's code has a launchPlugin already" },
    {
      name: "connectplugin",
      says: "/connectplugin.v1.ConnectpluginService/, must not lie in a package of the protocol",
    },
  ])("$name is refused, with the rule", ({ name, says }) => {
    expect(() => projectNames(name, "plugin")).toThrow(UsageError);
    expect(() => projectNames(name, "plugin")).toThrow(says);
  });

  it("gives the plugin its name, without what the project is", () => {
    const rows: readonly (readonly [string, ProjectKind])[] = [
      ["my-plugin", "plugin"],
      ["my-host", "host"],
      ["my", "host"],
    ];
    expect(rows.map(([name, kind]) => projectNames(name, kind).plugin)).toEqual(["my", "my", "my"]);
    expect(projectNames("plugin", "plugin").plugin).toBe("plugin");
    expect(projectNames("my-host", "plugin").plugin).toBe("my-host");
  });
});
