// What the files import that protoc-gen-cpg generates, and all they import but the output of protoc-gen-es. Names, types
// and behaviour stay as they are, so that a file generated long ago works with a later core. A change that would break
// one goes into a codegen-v2 beside this.
export type { PluginDefinition } from "./definition/plugin-definition.ts";
export type {
  BidiStreamingMethod,
  CallContext,
  ClientStreamingMethod,
  ServerStreamingMethod,
  UnaryMethod,
} from "./generated/generated-methods.ts";
export { generatedPlugin } from "./generated/generated-plugin.ts";
export { type MockMethods, mockService } from "./generated/mock-service.ts";
