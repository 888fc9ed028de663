#!/usr/bin/env node
// npx @cpg/codegen init NAME: writes a small project that runs.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { projectDependencies } from "./init/dependencies.ts";
import { hostProject } from "./init/host-project.ts";
import { pluginProject } from "./init/plugin-project.ts";
import { projectNames, UsageError } from "./init/project-name.ts";
import { writeProject } from "./init/write-project.ts";

const usage = `npx @cpg/codegen init NAME          writes a plugin into the new folder NAME
npx @cpg/codegen init --host NAME   writes a host, with a plugin that it launches`;

function run(args: readonly string[]): void {
  const options = { host: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const;
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  if (values.help) {
    console.log(usage);
    return;
  }
  const [command, name, ...others] = positionals;
  if (command === undefined) throw new UsageError("a command is required");
  if (command !== "init") throw new UsageError(`there is no command ${JSON.stringify(command)}`);
  if (name === undefined) throw new UsageError("init takes the name of the project");
  if (others.length > 0) throw new UsageError(`init takes one name, and not ${others.join(" ")} beside it`);
  const names = projectNames(name, values.host ? "host" : "plugin");
  const files = (values.host ? hostProject : pluginProject)(names, projectDependencies());
  writeProject(resolve(name), files);
  console.log(`${name} is written. Next:\n  cd ${name}\n  npm install\n  npm run build\n  npm test\n  npm start`);
}

try {
  run(process.argv.slice(2));
} catch (reason) {
  const isParse = reason instanceof TypeError && "code" in reason && String(reason.code).startsWith("ERR_PARSE_ARGS");
  if (!(reason instanceof UsageError) && !isParse) throw reason;
  console.error(`${reason.message}\n\n${usage}`);
  process.exitCode = 2;
}
