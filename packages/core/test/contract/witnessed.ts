import type { Step } from "./contract-messages.ts";
import type { Subject } from "./subject.ts";

/** Bound on every wait for an event. */
const waitMs = 5_000;

/** Resolves once the plugin has noted that, `atLeast` times. */
export function seen(
  { witness }: Pick<Subject, "witness">,
  key: string,
  atLeast = 1,
): Promise<Pick<Step, "text" | "count" | "code">> {
  return witness.seen({ key, count: atLeast }, { timeoutMs: waitMs });
}

/** How often it has noted that by now. */
export async function countOf({ witness }: Pick<Subject, "witness">, key: string): Promise<number> {
  return (await witness.peek({ key })).count;
}

/** What it noted, in order. */
export async function logOf({ witness }: Pick<Subject, "witness">, key: string): Promise<string[]> {
  const { facts } = await witness.log({ key });
  return Object.keys(facts)
    .sort((a, b) => Number(a) - Number(b))
    .map((index) => facts[index] ?? "");
}

/** Gives everything on the way time to arrive: by then a producer that nobody stops has gone on for long. */
export async function roundTrips({ witness }: Pick<Subject, "witness">, count = 20): Promise<void> {
  for (let trip = 0; trip < count; trip++) await witness.peek({ key: "nothing" });
}
