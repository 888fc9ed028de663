import { readFileSync } from "node:fs";
import { inPackage } from "./suite.ts";

/** The names in a checked-in list, one a line, without comments. */
export function readKnownFailing(file: string): string[] {
  return readFileSync(inPackage(file), "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"));
}
