import { ENV } from "../../protocol/constants.ts";

/** What a child may take from the host's environment unless it is told otherwise: where things are, and the locale. */
export const DEFAULT_INHERITED = ["PATH", "HOME", "LANG", "LC_*", "TZ", "TMPDIR"] as const;

const reserved: ReadonlySet<string> = new Set([ENV.port, ENV.hostUrl, ENV.socket, ENV.controlToken, ENV.readyLine]);

/**
 * Checks the names that a child may inherit, and its own variables.
 * @throws {TypeError} naming the option and the rule.
 */
export function checkChildEnvironment(inherit: readonly string[], extra: Readonly<Record<string, string>>): void {
  for (const name of inherit) {
    if (!/^[^=*\0]+\*?$/.test(name)) {
      throw new TypeError(
        `inheritEnv must hold names of variables, or beginnings followed by *, got ${JSON.stringify(name)}`,
      );
    }
  }
  for (const [name, value] of Object.entries(extra)) {
    if (name === "" || /[=\0]/.test(name)) throw new TypeError(`env has a bad name ${JSON.stringify(name)}`);
    if (typeof value !== "string" || value.includes("\0"))
      throw new TypeError(`env.${name} must be a string without NUL`);
    if (reserved.has(name)) throw new TypeError(`env.${name} is set by the launch itself`);
  }
}

/**
 * The environment of a child: what the list lets it inherit, its own variables, and those of the launch, each winning
 * over the one before.
 */
export function buildChildEnvironment(
  host: Readonly<Record<string, string | undefined>>,
  inherit: readonly string[],
  extra: Readonly<Record<string, string>>,
  launch: Readonly<Record<string, string>>,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(host)) {
    // The host's own launch variables would send the child to the host's host.
    if (value !== undefined && !reserved.has(name) && inherit.some((rule) => matches(rule, name))) {
      environment[name] = value;
    }
  }
  return { ...environment, ...extra, ...launch };
}

function matches(rule: string, name: string): boolean {
  return rule.endsWith("*") ? name.startsWith(rule.slice(0, -1)) : name === rule;
}
