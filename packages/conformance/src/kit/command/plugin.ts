// Checks a running plugin: pnpm conformance:plugin --endpoint http://127.0.0.1:8080, or --join for one that registers itself.
import { pluginCommand } from "./plugin-command.ts";
import { runCommand } from "./run-command.ts";

process.exitCode = await runCommand(pluginCommand, process.argv.slice(2));
