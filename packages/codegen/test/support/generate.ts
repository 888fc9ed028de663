import { createRequire } from "node:module";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  type CodeGeneratorResponse,
  CodeGeneratorResponseSchema,
  type FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import type { Plugin } from "@bufbuild/protoplugin";
import { createProtocGenCpg } from "../../src/plugin.ts";

const require = createRequire(import.meta.url);
// It has no export of its own: whoever runs it runs its program.
const {
  protocGenEs,
}: { protocGenEs: Plugin } = require("@bufbuild/protoc-gen-es/dist/cjs/src/protoc-gen-es-plugin.js");

const protocGenCpg = createProtocGenCpg("0.0.0");

export interface GenerateOptions {
  readonly files: readonly FileDescriptorProto[];
  /** As in buf.gen.yaml, with commas. */
  readonly parameter: string;
  /** Files to generate code for. Default: all but those that come with @bufbuild/protobuf. */
  readonly only?: (name: string) => boolean;
}

/** Runs protoc-gen-cpg as buf does: bytes in, bytes out. */
export function generateCpg(options: GenerateOptions): CodeGeneratorResponse {
  return run(protocGenCpg, options);
}

/** What protoc-gen-es and protoc-gen-cpg generate, by path. @throws Error with what protoc-gen-cpg complains about. */
export function generateAll({ parameter, ...options }: GenerateOptions): Map<string, string> {
  const responses = [
    run(protocGenEs, { ...options, parameter: `${parameter},erasable_syntax=true` }),
    generateCpg({ ...options, parameter }),
  ];
  const generated = new Map<string, string>();
  for (const { error, file } of responses) {
    if (error !== "") throw new Error(error);
    for (const { name, content } of file) generated.set(name, content);
  }
  return generated;
}

function run(plugin: Plugin, { files, parameter, only = () => true }: GenerateOptions): CodeGeneratorResponse {
  const request = create(CodeGeneratorRequestSchema, {
    parameter,
    protoFile: [...files],
    fileToGenerate: files.map(({ name }) => name).filter((name) => !name.startsWith("google/") && only(name)),
  });
  const response = plugin.run(fromBinary(CodeGeneratorRequestSchema, toBinary(CodeGeneratorRequestSchema, request)));
  return fromBinary(CodeGeneratorResponseSchema, toBinary(CodeGeneratorResponseSchema, response));
}
