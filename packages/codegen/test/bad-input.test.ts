import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { descriptorsOf } from "./support/descriptors.ts";
import { generateCpg } from "./support/generate.ts";

const option = (text: string) => `service KVService {\n  option (cpg.options.v1.plugin)${text};\n}`;
const methods = (...names: string[]) =>
  ["service KVService {", ...names.map((name) => `  rpc ${name}(M) returns (M);`), "}"].join("\n");
const plugin = "(cpg.options.v1.plugin)";
const semver = "must be one semantic version without build metadata, such as 1.2.3, is";
const name = "must match ^[a-zA-Z][a-zA-Z0-9_.-]*$, is";

// The services begin at line 5 of their files.
const rows = [
  { what: option('.name = "9"'), says: [`6: ${plugin}.name ${name} "9"`] },
  { what: option('.name = "a b"'), says: [`6: ${plugin}.name ${name} "a b"`] },
  { what: option('.name = "a..b"'), says: [`6: ${plugin}.name must not contain "..", is "a..b"`] },
  { what: option(`.name = "${"n".repeat(129)}"`), says: [`6: ${plugin}.name must have at most 128 bytes, has 129`] },
  { what: option('.version = "1.0"'), says: [`6: ${plugin}.version ${semver} "1.0"`] },
  { what: option('.version = "1.0.0+build"'), says: [`6: ${plugin}.version ${semver} "1.0.0+build"`] },
  {
    what: option(`.version = "1.0.0-${"a".repeat(60)}"`),
    says: [`6: ${plugin}.version must have at most 64 bytes, has 66`],
  },
  {
    what: option('.version = "9007199254740992.0.0"'),
    says: [`6: ${plugin}.version must have numbers up to 9007199254740991, is "9007199254740992.0.0"`],
  },
  { what: option('.provides = { type: "-" }'), says: [`6: ${plugin}.provides[0].type ${name} "-"`] },
  { what: option('.provides = { version: "v1" }'), says: [`6: ${plugin}.provides[0].version ${semver} "v1"`] },
  {
    what: option(' = {\n    provides: { type: "a" }\n    provides: { type: "a" }\n  }'),
    says: [`8: ${plugin}.provides[1] must not name "a" again`],
  },
  {
    what: option(' = {\n    provides: { type: "a" }\n    provides_nothing: true\n  }'),
    says: [`8: ${plugin}.provides_nothing must not be set with ${plugin}.provides`],
  },
  { what: option(".requires = {}"), says: [`6: ${plugin}.requires[0].type must not be empty`] },
  {
    what: option('.requires = {\n    type: "a"\n    min_version: ">=1"\n  }'),
    says: [`6: ${plugin}.requires[0].min_version ${semver} ">=1"`],
  },
  {
    what: option('.requires = { type: "kv" }'),
    says: [`6: ${plugin}.requires[0].type must not be "kv", which the plugin itself provides`],
  },
  {
    what: option(' = {\n    provides: { type: "a" }\n    requires: { type: "b" }\n    requires: { type: "a" }\n  }'),
    says: [`9: ${plugin}.requires[1].type must not be "a", which the plugin itself provides`],
  },
  {
    what: option(' = {\n    requires: { type: "a" }\n    requires: { type: "a" }\n  }'),
    says: [`8: ${plugin}.requires[1] must not name "a" again`],
  },
  {
    what: `service KVService {\n  rpc Get(M) returns (M) {\n    option (cpg.options.v1.method).timeout_ms = 0;\n  }\n}`,
    says: ["7: (cpg.options.v1.method).timeout_ms must be from 1 to 2147483647, is 0"],
  },
  {
    what: `service KVService {\n  rpc Get(M) returns (M) {\n    option (cpg.options.v1.method).timeout_ms = 2147483648;\n  }\n}`,
    says: ["7: (cpg.options.v1.method).timeout_ms must be from 1 to 2147483647, is 2147483648"],
  },
  {
    what: "service KV {}\n\nservice KVService {}",
    says: [`7: KVService and KV must not both be the plugin "kv": set ${plugin}.name`],
  },
  { what: "service _1Service {}", says: [`5: _1Service gives no name for a plugin: set ${plugin}.name`] },
  { what: methods("GetIt", "getIt"), says: ["7: getIt and GetIt must not both be getIt in code: rename one"] },
  {
    what: methods("Get", "Then"),
    says: [
      "7: Then must not be called so: JavaScript takes an object with a method then for a promise, and await would call it",
    ],
  },
  {
    what: methods("__proto__"),
    says: ["6: __proto__ must not be called so: in JavaScript this names an object's prototype"],
  },
  {
    what: "service KVService {}",
    package: "connectplugin.kv",
    says: ["5: the path of a service that is provided must not lie in a package of the protocol, connectplugin.…"],
  },
  {
    what: `service ${"S".repeat(120)} {}`,
    package: `p.${"p".repeat(140)}`,
    says: ["5: the path of a service that is provided must have at most 256 bytes, has 265"],
  },
  // All that is wrong, at once.
  {
    what: option(' = {\n    name: "."\n    version: "."\n  }'),
    says: [`7: ${plugin}.name ${name} "."`, `8: ${plugin}.version ${semver} "."`],
  },
].map((row, index) => ({ package: `test${index}`, ...row, file: `bad-${index}.proto` }));

describe("bad input", () => {
  let directory: string;
  let files: readonly FileDescriptorProto[];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "cpg-codegen-"));
    for (const row of rows) {
      const head = `syntax = "proto3";\npackage ${row.package};\nimport "cpg/options/v1/options.proto";\nmessage M {}\n`;
      await writeFile(join(directory, row.file), head + row.what);
    }
    ({ file: files } = await descriptorsOf(directory));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it.each(rows)("fails with file, line and rule: $says.0", ({ file, says }) => {
    const response = generateCpg({ files, parameter: "target=ts", only: (name) => name === file });
    expect(response.error.split("\n")).toEqual(says.map((rule) => `${file}:${rule}`));
    const { supportedFeatures, minimumEdition, maximumEdition } = generateCpg({ files: [], parameter: "target=ts" });
    expect(response).toMatchObject({ file: [], supportedFeatures, minimumEdition, maximumEdition });
    expect(supportedFeatures).toBeGreaterThan(0n);
  });

  it("of several files is told for each of them", () => {
    const { error } = generateCpg({ files, parameter: "target=ts" });
    expect(error.split("\n")).toHaveLength(rows.flatMap(({ says }) => says).length);
  });

  it("names the file alone when there is no note of lines", () => {
    const [row] = rows;
    const bare = files.map((file) => ({ ...file, sourceCodeInfo: undefined }));
    const { error } = generateCpg({
      files: bare.map(({ sourceCodeInfo: _, ...file }) => file),
      parameter: "target=ts",
      only: (name) => name === row?.file,
    });
    expect(error).toBe(`bad-0.proto: ${plugin}.name ${name} "9"`);
  });
});
