import { ENV } from "../protocol/constants.ts";

/** Meant for this process alone. */
const own = [ENV.socket, ENV.controlToken, ENV.readyLine] as const;
const taken: Record<string, string> = {};

/**
 * The environment of this process. What a launcher put there for this process alone is taken out of `process.env`, and
 * kept for the next call: programs that a plugin starts would inherit the secret that controls it, and its socket.
 */
export function takeEnvironment(): Readonly<Record<string, string | undefined>> {
  for (const name of own) {
    const { [name]: value } = process.env;
    if (value === undefined) continue;
    taken[name] = value;
    delete process.env[name];
  }
  return { ...process.env, ...taken };
}
