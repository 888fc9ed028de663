import { existsSync } from "node:fs";
import { Code } from "@connectrpc/connect";

/** What a program that could not be spawned lacks, and whether trying again may help. */
export function explainSpawnError(error: unknown, command: string, cwd: string): { reason: unknown; code?: Code } {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const cause = (message: string) => ({ reason: new Error(message, { cause: error }), code: Code.FailedPrecondition });
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      // The system says the same of both.
      return cause(existsSync(cwd) ? `program ${command} not found` : `working directory ${cwd} not found`);
    case "EACCES":
    case "EPERM":
      return cause(`program ${command} is not executable`);
    case "ENOEXEC":
      return cause(`program ${command} has a format that this system cannot run`);
    case "E2BIG":
      return cause(`arguments and environment of ${command} are too long`);
    default:
      return { reason: error };
  }
}
