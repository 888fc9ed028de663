// Writes the golden files anew: pnpm generate:golden. Look at the difference before you commit it.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { generateCase, goldenCases, goldenDirectory } from "./golden-cases.ts";

for (const golden of goldenCases) {
  const directory = join(goldenDirectory, golden.name);
  await rm(directory, { recursive: true, force: true });
  for (const [name, content] of await generateCase(golden)) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
}
