import { lstatSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Whether only this user can reach a Unix socket: its directory is the user's own and closed to everybody else, so
 * whoever connects runs as this user.
 */
export function isPrivateSocket(socketPath: string): boolean {
  const { uid, mode } = lstatSync(dirname(socketPath), { throwIfNoEntry: false }) ?? {};
  return uid !== undefined && mode !== undefined && uid === process.getuid?.() && (mode & 0o077) === 0;
}
