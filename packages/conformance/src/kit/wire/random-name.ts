import { randomBytes } from "node:crypto";

/** A name that nobody else has: letters, digits and a dash. */
export function randomName(beginning: string): string {
  return `${beginning}-${randomBytes(6).toString("hex")}`;
}
