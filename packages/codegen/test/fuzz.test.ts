import { toJsonString } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compile } from "./support/compile.ts";
import { generateAll, generateCpg } from "./support/generate.ts";
import { randomFiles } from "./support/random-files.ts";

const runs = 300;
// A failure is seen again with the seed in its message.
const seed = Number(process.env.FUZZ_SEED ?? fc.sample(fc.nat(), 1)[0]);

// What valid descriptors may be refused for.
const refusals = [
  / must not both be the plugin /,
  / must not both be \S+ in code: /,
  / gives no name for a plugin: /,
  /, which the plugin itself provides$/,
];

const parameter = "target=ts,import_extension=ts";

describe(`of ${runs} random sets of files (seed ${seed})`, () => {
  const sets = fc
    .sample(randomFiles, { numRuns: runs, seed })
    .map((filesOf, index): [string, FileDescriptorProto[]] => [`s${index}`, filesOf(`s${index}`)]);
  const errors = new Map(sets.map(([prefix, files]) => [prefix, generateCpg({ files, parameter }).error]));
  const accepted = sets.filter(([prefix]) => errors.get(prefix) === "");

  it("what is generated compiles", () => {
    expect(accepted.length).toBeGreaterThan(runs / 2);
    const generated = new Map(accepted.flatMap(([, files]) => [...generateAll({ files, parameter })]));
    const ours = (path: string) => path.endsWith("_cpg.ts");
    const complaints = compile(generated, { look: ours }).map((complaint) => ({
      ...complaint,
      source: generated.get(complaint.file)?.split("\n")[complaint.line - 1],
    }));
    const [first] = complaints;
    const culprit = sets.find(([prefix]) => first?.file.startsWith(`${prefix}/`))?.[1] ?? [];
    const seen = culprit.map((file) => toJsonString(FileDescriptorProtoSchema, { ...file, sourceCodeInfo: undefined }));
    expect(complaints.slice(0, 10), seen.join("\n")).toEqual([]);
  });

  it("those that are refused break a rule", () => {
    const lines = [...errors.values()].filter((error) => error !== "").flatMap((error) => error.split("\n"));
    expect(lines.filter((line) => !refusals.some((refusal) => refusal.test(line)))).toEqual([]);
  });
});
