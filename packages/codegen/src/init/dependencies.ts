import { readFileSync } from "node:fs";

/** What a project depends on, with the versions that this package was tested with. */
export interface Dependencies {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const runtime = ["@bufbuild/protobuf", "@connectrpc/connect", "@cpg/core"];
const tools = ["@bufbuild/buf", "@bufbuild/protoc-gen-es", "@types/node", "typescript"];

export function projectDependencies(): Dependencies {
  const file = new URL("../../package.json", import.meta.url);
  const manifest: Manifest = JSON.parse(readFileSync(file, "utf8"));
  const known = { ...manifest.devDependencies, ...manifest.dependencies };
  const pick = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, rangeOf(known[name])]));
  return {
    dependencies: pick(runtime),
    devDependencies: { ...pick(tools), [manifest.name]: `^${manifest.version}` },
  };
}

/** In a clone of the repository the versions are said elsewhere: there any will do. */
function rangeOf(range: string | undefined): string {
  return range === undefined || /^(?:catalog|workspace):/.test(range) ? "*" : range;
}
