import { create } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, CodeGeneratorResponseSchema } from "@bufbuild/protobuf/wkt";
import { createEcmaScriptPlugin, type Plugin, type Schema, type Target } from "@bufbuild/protoplugin";
import { BadInputError } from "./bad-input-error.ts";
import { printPlugin } from "./print-plugin.ts";
import { readPlugins } from "./read-plugins.ts";

/**
 * The generator behind protoc-gen-cpg. What is wrong with the .proto files becomes the `error` of its response, all of it
 * at once, one line for each problem; then it generates nothing.
 */
export function createProtocGenCpg(version: string): Plugin {
  const generator = createEcmaScriptPlugin({
    name: "protoc-gen-cpg",
    version,
    generateTs: generate,
    generateJs: generate,
    generateDts: generate,
  });
  return {
    ...generator,
    run(request) {
      try {
        return generator.run(request);
      } catch (error) {
        if (!(error instanceof BadInputError)) throw error;
        // What it supports has to be said in this case too: else protoc complains of that when a file has an edition.
        const supports = generator.run(create(CodeGeneratorRequestSchema));
        return create(CodeGeneratorResponseSchema, { ...supports, error: error.message });
      }
    },
  };
}

const extensions: Readonly<Record<Target, string>> = { ts: ".ts", js: ".js", dts: ".d.ts" };

/** @throws {BadInputError} */
function generate(schema: Schema, target: Target): void {
  const files = schema.files.map((file) => ({ file, ...readPlugins(file) }));
  const problems = files.flatMap((file) => file.problems);
  if (problems.length > 0) throw new BadInputError(problems);
  for (const { file, plugins } of files) {
    const f = schema.generateFile(`${file.name}_cpg${extensions[target]}`);
    f.preamble(file); // without plugins, nothing else: an empty file, which is left out
    for (const plugin of plugins) printPlugin(f, target, plugin);
  }
}
