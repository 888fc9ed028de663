import type { Dependencies } from "./dependencies.ts";
import type { ProjectNames } from "./project-name.ts";

/** Text by path, relative to the folder of the project. */
export type ProjectFiles = Readonly<Record<string, string>>;

/** What every project has, whatever it is for. */
export function commonFiles(names: ProjectNames, dependencies: Dependencies): ProjectFiles {
  return {
    "package.json": packageJson(names, dependencies),
    "tsconfig.json": tsconfig,
    "buf.yaml": bufYaml,
    "buf.gen.yaml": bufGenYaml,
    ".gitignore": "node_modules/\n",
    [protoFile(names)]: proto(names),
    "src/greeter.ts": greeter(names),
  };
}

export function protoFile({ protoPackage }: ProjectNames): string {
  return `proto/${protoPackage}/v1/${protoPackage}.proto`;
}

/** Of what protoc-gen-cpg generates from the .proto, without the extension. */
export function generatedFile({ protoPackage }: ProjectNames): string {
  return `gen/${protoPackage}/v1/${protoPackage}_cpg`;
}

function packageJson({ project }: ProjectNames, { dependencies, devDependencies }: Dependencies): string {
  const manifest = {
    name: project,
    version: "0.1.0",
    private: true,
    type: "module",
    engines: { node: ">=22.18" },
    scripts: {
      generate: "buf generate",
      build: "buf generate && tsc",
      test: 'node --test "test/*.test.ts"',
      start: "node src/main.ts",
    },
    dependencies,
    devDependencies,
  };
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

// The sources run as they are: Node strips the types. So the compiler only checks.
const tsconfig = `{
  "compilerOptions": {
    "target": "es2023",
    "lib": ["es2024", "esnext.disposable"],
    "types": ["node"],
    "module": "nodenext",
    "noEmit": true,
    "strict": true,
    "exactOptionalPropertyTypes": true,
    "noUncheckedIndexedAccess": true,
    "noPropertyAccessFromIndexSignature": true,
    "noImplicitOverride": true,
    "noImplicitReturns": true,
    "noFallthroughCasesInSwitch": true,
    "noUnusedLocals": true,
    "noUnusedParameters": true,
    "verbatimModuleSyntax": true,
    "isolatedModules": true,
    "erasableSyntaxOnly": true,
    "allowImportingTsExtensions": true,
    "skipLibCheck": true
  },
  "include": ["src", "test"]
}
`;

const bufYaml = `version: v2
modules:
  - path: proto
  # The options with which a .proto says what its plugin is called, provides and needs.
  - path: node_modules/@cpg/codegen/proto
`;

const bufGenYaml = `version: v2
clean: true
inputs:
  - directory: proto
plugins:
  - local: protoc-gen-es
    out: src/gen
    include_imports: true
    opt: [target=ts, import_extension=ts, erasable_syntax=true]
  - local: protoc-gen-cpg
    out: src/gen
    opt: [target=ts, import_extension=ts]
`;

function proto({ plugin, protoPackage, service }: ProjectNames): string {
  return `syntax = "proto3";

package ${protoPackage}.v1;

import "cpg/options/v1/options.proto";

// Greets, once or often.
service ${service} {
  option (cpg.options.v1.plugin) = {
    name: "${plugin}"
    version: "0.1.0"
  };

  // Greets somebody.
  rpc Greet(GreetRequest) returns (GreetResponse) {
    option (cpg.options.v1.method).timeout_ms = 5000;
    option idempotency_level = NO_SIDE_EFFECTS;
  }

  // Greets somebody several times.
  rpc GreetOften(GreetOftenRequest) returns (stream GreetOftenResponse);
}

message GreetRequest {
  string name = 1;
}

message GreetResponse {
  string greeting = 1;
}

message GreetOftenRequest {
  string name = 1;
  // From 1 to 10.
  int32 times = 2;
}

message GreetOftenResponse {
  string greeting = 1;
}
`;
}

function greeter(names: ProjectNames): string {
  return `import { Code, ConnectError } from "@connectrpc/connect";
import type { ${names.contract} } from "./${generatedFile(names)}.ts";

/** The implementation of the plugin. The compiler holds it to the .proto. */
export const greeter: ${names.contract} = {
  greet({ name }) {
    return { greeting: greetingFor(name) };
  },

  async *greetOften({ name, times }, { signal }) {
    if (times < 1 || times > 10) throw new ConnectError("times must be from 1 to 10", Code.InvalidArgument);
    for (let time = 0; time < times; time++) {
      signal.throwIfAborted(); // whoever asked may have left
      yield { greeting: greetingFor(name) };
    }
  },
};

function greetingFor(name: string): string {
  if (name === "") throw new ConnectError("name must not be empty", Code.InvalidArgument);
  return \`hello \${name}\`;
}
`;
}
