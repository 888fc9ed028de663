import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  knownSession,
  type LinkEvent,
  type LinkState,
  type LinkStateName,
  linkedSession,
  ownSession,
  transition,
} from "./link-state.ts";

type State = LinkState<string, string>;
type Event = LinkEvent<string, string>;

const asking: State = { kind: "connecting", given: undefined };
const given: State = { kind: "connecting", given: "g" };
const registering: State = { kind: "registering", session: "s" };
const linked: State = { kind: "linked", session: "s" };
const refreshing: State = { kind: "refreshing", session: "s" };
const resuming: State = { kind: "resuming", session: "s" };
const retrying: State = { kind: "backoff", next: given, refused: false };
const idle: State = { kind: "idle" };
const closing: State = { kind: "closing" };
const closed: State = { kind: "closed" };
const states: readonly State[] = [
  idle,
  asking,
  given,
  registering,
  linked,
  refreshing,
  resuming,
  retrying,
  { kind: "backoff", next: registering, refused: true },
  { kind: "backoff", next: resuming, refused: false },
  closing,
  closed,
];

const events: readonly Event[] = [
  { type: "start" },
  { type: "identity-given", given: "g2" },
  { type: "connected", session: "s2" },
  { type: "registered" },
  { type: "expiring" },
  { type: "refreshed", session: "s2" },
  { type: "refresh-failed" },
  { type: "resumed" },
  { type: "unauthenticated" },
  { type: "unavailable", resume: true },
  { type: "unavailable", resume: false },
  { type: "lost" },
  { type: "refused" },
  { type: "retry" },
  { type: "close" },
  { type: "closed" },
];

/** The whole machine, but for close and identity-given, which do the same everywhere. */
const table: readonly { from: State; event: Event; to: State }[] = [
  { from: idle, event: { type: "start" }, to: asking },
  { from: given, event: { type: "connected", session: "s2" }, to: { kind: "registering", session: "s2" } },
  { from: given, event: { type: "unavailable", resume: true }, to: { kind: "backoff", next: given, refused: false } },
  { from: given, event: { type: "unavailable", resume: false }, to: { kind: "backoff", next: given, refused: false } },
  { from: asking, event: { type: "refused" }, to: { kind: "backoff", next: asking, refused: true } },
  { from: asking, event: { type: "unauthenticated" }, to: { kind: "backoff", next: asking, refused: true } },
  { from: registering, event: { type: "registered" }, to: linked },
  {
    from: registering,
    event: { type: "unavailable", resume: true },
    to: { kind: "backoff", next: registering, refused: false },
  },
  { from: registering, event: { type: "lost" }, to: { kind: "backoff", next: asking, refused: false } },
  { from: registering, event: { type: "unauthenticated" }, to: { kind: "backoff", next: asking, refused: true } },
  { from: registering, event: { type: "refused" }, to: { kind: "backoff", next: asking, refused: true } },
  { from: linked, event: { type: "expiring" }, to: refreshing },
  {
    from: linked,
    event: { type: "unavailable", resume: true },
    to: { kind: "backoff", next: resuming, refused: false },
  },
  {
    from: linked,
    event: { type: "unavailable", resume: false },
    to: { kind: "backoff", next: asking, refused: false },
  },
  { from: linked, event: { type: "unauthenticated" }, to: asking },
  { from: refreshing, event: { type: "refreshed", session: "s2" }, to: { kind: "linked", session: "s2" } },
  { from: refreshing, event: { type: "refresh-failed" }, to: linked },
  { from: resuming, event: { type: "resumed" }, to: linked },
  {
    from: resuming,
    event: { type: "unavailable", resume: true },
    to: { kind: "backoff", next: resuming, refused: false },
  },
  { from: resuming, event: { type: "lost" }, to: asking },
  { from: resuming, event: { type: "unauthenticated" }, to: asking },
  { from: resuming, event: { type: "refused" }, to: asking },
  { from: retrying, event: { type: "retry" }, to: given },
  { from: { kind: "backoff", next: resuming, refused: false }, event: { type: "retry" }, to: resuming },
  { from: closing, event: { type: "closed" }, to: closed },
];

describe("transition", () => {
  it.each(table)("$from.kind, $event.type -> $to.kind", ({ from, event, to }) => {
    expect(transition(from, event)).toEqual(to);
  });

  it.each(states)("$kind: close, and a given identity, lead out unless it is over", (from) => {
    const over = from.kind === "closing" || from.kind === "closed";
    expect(transition(from, { type: "close" })).toEqual(over ? from : closing);
    const taken = { kind: "connecting", given: "g2" };
    expect(transition(from, { type: "identity-given", given: "g2" })).toEqual(over ? from : taken);
  });

  it("changes nothing that the table does not name", () => {
    const kinds = new Map<string, Set<string>>();
    for (const { from, event } of table) {
      kinds.set(from.kind, (kinds.get(from.kind) ?? new Set()).add(event.type));
    }
    const everywhere = ["close", "identity-given"];
    const named = (from: State, { type }: Event) =>
      everywhere.includes(type) ||
      kinds.get(from.kind)?.has(type) ||
      // Told in the table by one of the two.
      (from.kind === "connecting" && ["connected", "unavailable", "refused", "unauthenticated"].includes(type)) ||
      (from.kind === "registering" && type === "unavailable") ||
      (from.kind === "resuming" && type === "unavailable");
    for (const from of states) {
      for (const event of events.filter((event) => !named(from, event))) {
        expect(transition(from, event)).toBe(from);
      }
    }
  });
});

describe("sessions", () => {
  it.each<{ state: State; linked: string | undefined; known: string | undefined; own: string | undefined }>([
    { state: asking, linked: undefined, known: undefined, own: undefined },
    { state: registering, linked: undefined, known: undefined, own: "s" },
    { state: linked, linked: "s", known: "s", own: "s" },
    { state: refreshing, linked: "s", known: "s", own: "s" },
    { state: resuming, linked: undefined, known: "s", own: "s" },
    { state: { kind: "backoff", next: resuming, refused: false }, linked: undefined, known: "s", own: "s" },
    { state: { kind: "backoff", next: registering, refused: false }, linked: undefined, known: undefined, own: "s" },
    { state: retrying, linked: undefined, known: undefined, own: undefined },
    { state: closing, linked: undefined, known: undefined, own: undefined },
  ])("of $state.kind", ({ state, linked, known, own }) => {
    expect([linkedSession(state), knownSession(state), ownSession(state)]).toEqual([linked, known, own]);
  });
});

describe("laws", () => {
  const histories = fc.array(fc.constantFrom(...events), { maxLength: 30 });
  const run = (history: readonly Event[]): State[] => {
    const path: State[] = [idle];
    for (const event of history) path.push(transition(path.at(-1) ?? idle, event));
    return path;
  };

  it("never linked but through registering, refreshing or resuming", () => {
    const ways: LinkStateName[] = ["linked", "registering", "refreshing", "resuming"];
    fc.assert(
      fc.property(histories, (history) => {
        const path = run(history);
        const entries = path.flatMap((state, index) => (state.kind === "linked" ? [path[index - 1]?.kind] : []));
        return entries.every((kind) => kind !== undefined && ways.includes(kind));
      }),
    );
  });

  it("after close nothing but closed follows", () => {
    fc.assert(
      fc.property(histories, histories, (before, after) => {
        const path = run([...before, { type: "close" }, ...after]).slice(before.length + 1);
        return path.every(({ kind }) => kind === "closing" || kind === "closed");
      }),
    );
  });

  it("a failure is answered with backoff before the same is tried again, except one that asks for a new identity", () => {
    const failing: Event["type"][] = ["unavailable", "refused"];
    const trying: LinkStateName[] = ["connecting", "registering"];
    fc.assert(
      fc.property(histories, (history) => {
        const path = run(history);
        return history.every((event, index) => {
          const from = path[index];
          const to = path[index + 1];
          const failed = failing.includes(event.type) && from !== undefined && trying.includes(from.kind);
          return !failed || to?.kind === "backoff";
        });
      }),
    );
  });
});
