import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { descriptorsOf, testProtos } from "./descriptors.ts";
import { generateAll } from "./generate.ts";

export interface GoldenCase {
  /** Folder of the case in test/golden. */
  readonly name: string;
  readonly parameter: string;
  readonly only?: (file: string) => boolean;
}

const settings = (file: string) => file.startsWith("settings/") || file.startsWith("cpg/");

/** Everything for each target; one folder of .proto files for each option that all plugins have. */
export const goldenCases: readonly GoldenCase[] = [
  { name: "ts", parameter: "target=ts,import_extension=ts" },
  { name: "js-dts", parameter: "target=js+dts,import_extension=js" },
  { name: "import-extension-none", parameter: "target=ts", only: settings },
  {
    name: "commonjs",
    parameter: "target=js+dts,import_extension=js,js_import_style=legacy_commonjs",
    only: settings,
  },
  {
    name: "other-options",
    parameter:
      "target=ts,import_extension=ts,ts_nocheck=true,elide_plugin_version=true,keep_empty_files=true,rewrite_imports=./shared/**/*_pb.js:@acme/protos",
    only: (file) => file.startsWith("shared/") || file.startsWith("names/") || settings(file),
  },
];

export const goldenDirectory = fileURLToPath(new URL("../golden", import.meta.url));

/** What is generated for a case today, by path. */
export async function generateCase({ parameter, only }: GoldenCase): Promise<Map<string, string>> {
  const { file: files } = await descriptorsOf(testProtos);
  return generateAll({ files, parameter, ...(only && { only }) });
}

/** What the golden files of a case say, by path. */
export function readGolden({ name }: GoldenCase): Map<string, string> {
  const directory = join(goldenDirectory, name);
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    entries
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(directory.length + 1), readFileSync(path, "utf8")]),
  );
}
