const encoder = new TextEncoder();

const namePattern = /^[a-zA-Z][a-zA-Z0-9_.-]*$/;
// https://semver.org/#backusnaur-form-grammar-for-valid-semver-versions, without build metadata.
const versionPattern =
  /^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?$/;

/** Longest time that timers of JavaScript can wait, in ms. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The rule of the protocol that a plugin's name or a service type breaks, if any. */
export function brokenNameRule(name: string): string | undefined {
  if (name === "") return "must not be empty";
  if (!namePattern.test(name)) return `must match ${namePattern.source}, is ${JSON.stringify(name)}`;
  if (name.includes("..")) return `must not contain "..", is ${JSON.stringify(name)}`;
  return brokenLengthRule(name, 128);
}

/** The rule of the protocol that a version breaks, if any. */
export function brokenVersionRule(version: string): string | undefined {
  if (!versionPattern.test(version)) {
    return `must be one semantic version without build metadata, such as 1.2.3, is ${JSON.stringify(version)}`;
  }
  const [core = ""] = version.split("-");
  if (core.split(".").some((number) => !Number.isSafeInteger(Number(number)))) {
    return `must have numbers up to ${Number.MAX_SAFE_INTEGER}, is ${JSON.stringify(version)}`;
  }
  return brokenLengthRule(version, 64);
}

/** The rule that the path of a service breaks under which a plugin offers it to others, if any. */
export function brokenPathRule(path: string): string | undefined {
  if (path.startsWith("/connectplugin.")) return "must not lie in a package of the protocol, connectplugin.…";
  return brokenLengthRule(path, 256);
}

/** The rule that a time-out breaks, if any. */
export function brokenTimeoutRule(timeoutMs: number): string | undefined {
  if (timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS) return undefined;
  return `must be from 1 to ${MAX_TIMEOUT_MS}, is ${timeoutMs}`;
}

function brokenLengthRule(text: string, maxBytes: number): string | undefined {
  const bytes = encoder.encode(text).length;
  return bytes > maxBytes ? `must have at most ${maxBytes} bytes, has ${bytes}` : undefined;
}
