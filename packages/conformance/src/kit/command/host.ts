// Checks a running host: pnpm conformance:host --endpoint http://127.0.0.1:8080
import { hostCommand } from "./host-command.ts";
import { runCommand } from "./run-command.ts";

process.exitCode = await runCommand(hostCommand, process.argv.slice(2));
