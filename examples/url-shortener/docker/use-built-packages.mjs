// Makes the workspace packages of a deployed service what npm would install: their entries are what was built, as
// `publishConfig` says. Node runs no TypeScript inside node_modules. use-built-packages.mjs DIRECTORY
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [, , directory = "."] = process.argv;
for (const path of globSync("node_modules/.pnpm/*/node_modules/@cpg/*/package.json", { cwd: directory })) {
  const file = join(directory, path);
  const { publishConfig, ...manifest } = JSON.parse(readFileSync(file, "utf8"));
  if (publishConfig?.exports === undefined) continue;
  rmSync(file); // what is deployed may be the very file of the workspace, linked
  writeFileSync(file, `${JSON.stringify({ ...manifest, exports: publishConfig.exports }, undefined, 2)}\n`);
}
