import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ProjectFiles } from "./project-files.ts";
import { UsageError } from "./project-name.ts";

/**
 * Writes the files into a folder that is new or empty: nothing is overwritten.
 * @throws {UsageError} for one that is not.
 */
export function writeProject(directory: string, files: ProjectFiles): void {
  if (contentOf(directory).length > 0) throw new UsageError(`${directory} is there already, and not empty`);
  for (const [path, text] of Object.entries(files)) {
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { flag: "wx" });
  }
}

function contentOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (reason) {
    const code = reason instanceof Error && "code" in reason ? reason.code : undefined;
    if (code === "ENOENT") return [];
    if (code === "ENOTDIR") throw new UsageError(`${directory} is a file`);
    throw reason;
  }
}
