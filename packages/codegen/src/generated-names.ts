import type { DescService } from "@bufbuild/protobuf";
import { safeIdentifier } from "@bufbuild/protoplugin";

/** What a service's exports are called. */
export interface GeneratedNames {
  /** The interface to implement: KV. */
  readonly contract: string;
  /** The plugin definition: kvPlugin. */
  readonly plugin: string;
  /** The test double: mockKV. */
  readonly mock: string;
}

/**
 * The names of the services of one file, none of them twice. A service is called by its name without a trailing
 * "Service"; by its whole name when that is taken; then with a number.
 */
export function generatedNames(services: readonly DescService[]): ReadonlyMap<DescService, GeneratedNames> {
  const taken = new Set<string>();
  const named = new Map<DescService, GeneratedNames>();
  for (const service of services) {
    for (const names of candidates(service)) {
      const all = Object.values(names);
      if (all.some((name) => taken.has(name))) continue;
      for (const name of all) taken.add(name);
      named.set(service, names);
      break;
    }
  }
  return named;
}

/** What a service of that name is called, when nothing of it is taken. */
export function preferredNames(serviceName: string): GeneratedNames {
  return namesOf(stemOf(serviceName), "");
}

/** The plugin's name for a service whose options give none: KVService is "kv". May break the rules for names. */
export function defaultPluginName({ name }: DescService): string {
  return camelCase(stemOf(name));
}

function* candidates({ name }: DescService): Generator<GeneratedNames, void, void> {
  yield preferredNames(name);
  yield namesOf(name, "");
  // A dollar sign, since no name of a .proto has one.
  for (let number = 1; ; number++) yield namesOf(name, `$${number}`);
}

function namesOf(stem: string, suffix: string): GeneratedNames {
  const camel = camelCase(stem);
  return {
    contract: safeTypeName(stem + suffix),
    plugin: `${/^[a-z]/i.test(camel) ? camel : `_${camel}`}Plugin${suffix}`,
    mock: `mock${stem.charAt(0).toUpperCase()}${stem.slice(1)}${suffix}`,
  };
}

/** The name without a trailing "Service", unless no letter would be left. */
function stemOf(name: string): string {
  const stem = name.replace(/_?Service$/, "");
  return /[a-z]/i.test(stem) ? stem : name;
}

/** KVStore: kvStore. URL_Shortener: urlShortener. */
function camelCase(name: string): string {
  return name
    .replace(/^_+|_+$/g, "")
    .replace(/_+(.)/g, (_, next: string) => next.toUpperCase())
    .replace(/^[A-Z]+(?=[A-Z][a-z])|^[A-Z]+/, (start) => start.toLowerCase());
}

// Names that TypeScript does not allow for an interface or reads as an operator, beyond those of safeIdentifier.
const reservedTypeNames = new Set(
  "any arguments asserts await eval infer keyof never readonly symbol undefined unique unknown".split(" "),
);

function safeTypeName(name: string): string {
  return reservedTypeNames.has(name) ? `${name}$` : safeIdentifier(name);
}
