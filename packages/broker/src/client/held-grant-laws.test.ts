import { Code, ConnectError } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { GrantSource, LiveGrant } from "./grant-source.ts";
import { type HeldGrant, holdGrant } from "./held-grant.ts";

const ttlMs = 10_000;
const deniedMs = 3_000;

/** Answers that the test gives when it likes; it tells how many questions were open at a time. */
class SlowSource implements GrantSource {
  open = 0;
  mostOpen = 0;
  /** Monotonic ms at which the host was asked for a grant. */
  readonly askedAtMs: number[] = [];
  readonly valid = new Set<LiveGrant>();
  answers: { resolve(): void; reject(error: ConnectError): void }[] = [];
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  async ask(signal: AbortSignal): Promise<LiveGrant> {
    this.askedAtMs.push(this.#clock.monotonic());
    await this.#answer(signal);
    const grantId = `g${this.askedAtMs.length}`;
    const grant = {
      grantId,
      accessor: grantId,
      type: "x",
      version: "1.0.0",
      ttlMs,
      renewable: true,
      transport: nowhere,
    };
    this.valid.add(grant);
    return grant;
  }

  async renew(grant: LiveGrant, signal: AbortSignal): Promise<number | undefined> {
    await this.#answer(signal);
    if (!this.valid.has(grant)) throw new ConnectError("unknown grant", Code.NotFound);
    return ttlMs;
  }

  async giveBack(grant: LiveGrant): Promise<void> {
    this.valid.delete(grant);
  }

  #answer(signal: AbortSignal): Promise<void> {
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    return new Promise<void>((resolve, reject) => {
      const over = () => {
        this.open -= 1;
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = () => {
        over();
        this.answers = this.answers.filter((other) => other !== answer);
        reject(signal.reason);
      };
      const answer = {
        resolve: () => {
          over();
          resolve();
        },
        reject: (error: ConnectError) => {
          over();
          reject(error);
        },
      };
      this.answers.push(answer);
      signal.addEventListener("abort", onAbort);
    });
  }
}

const nowhere: LiveGrant["transport"] = {
  unary: () => Promise.reject(new ConnectError("not here", Code.Unimplemented)),
  stream: () => Promise.reject(new ConnectError("not here", Code.Unimplemented)),
};

function scene() {
  const clock = new FakeClock();
  const source = new SlowSource(clock);
  const listeners = new Set<() => void>();
  const link = {
    onIdentityChange(listener: (identity: undefined) => void) {
      const own = () => listener(undefined);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
  };
  const held = holdGrant({ type: "x", source, link, clock, random: () => 0.5, attemptMs: 1_000, deniedMs });
  const calls: Promise<LiveGrant | ConnectError>[] = [];
  return { clock, source, link, held, listeners, calls };
}
type Scene = ReturnType<typeof scene>;

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};
const answerAll = ({ source }: Scene, error?: ConnectError): void => {
  for (const { resolve, reject } of source.answers.splice(0)) error === undefined ? resolve() : reject(error);
};
const forget = (held: HeldGrant): void => {
  if (held.current !== undefined) held.forget(held.current);
};

const steps = {
  use: ({ held, calls }: Scene) => void calls.push(held.get(undefined, Infinity).catch(ConnectError.from)),
  answer: (on: Scene) => answerAll(on),
  "no answer": (on: Scene) => answerAll(on, new ConnectError("away", Code.Unavailable)),
  "say no": (on: Scene) => answerAll(on, new ConnectError("no", Code.PermissionDenied)),
  "know nobody": (on: Scene) => answerAll(on, new ConnectError("who?", Code.Unauthenticated)),
  "new identity": ({ listeners, source }: Scene) => {
    source.valid.clear();
    for (const tell of listeners) tell();
  },
  "lose the grant": ({ held }: Scene) => forget(held),
  "a little time": ({ clock }: Scene) => clock.advance(1_000),
  "much time": ({ clock }: Scene) => clock.advance(6_000),
} satisfies Record<string, (on: Scene) => unknown>;
const names = Object.keys(steps) as (keyof typeof steps)[];

async function run(happens: readonly (keyof typeof steps)[]): Promise<Scene> {
  const on = scene();
  for (const name of happens) {
    await steps[name](on);
    await settle();
  }
  return on;
}

describe("a held grant, whatever happens", () => {
  const history = fc.array(fc.constantFrom(...names), { maxLength: 40 });

  it("has one question open at a time, and every call that waits gets an answer", async () => {
    await fc.assert(
      fc.asyncProperty(history, async (happens) => {
        const on = await run(happens);
        expect(on.source.mostOpen).toBeLessThanOrEqual(1);
        await on.held.close();
        await Promise.all(on.calls);
      }),
    );
  });

  it("leaves no timer, listener or question behind when it is closed", async () => {
    await fc.assert(
      fc.asyncProperty(history, async (happens) => {
        const on = await run(happens);
        await on.held.close();
        await settle();
        expect([on.clock.pending, on.listeners.size, on.source.open]).toEqual([0, 0, 0]);
      }),
    );
  });

  it("asks nothing during the pause after a refusal, as long as the identity stays", async () => {
    const calm = names.filter((name) => name !== "new identity");
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...calm), { maxLength: 40 }), async (happens) => {
        const on = await run(["use", "say no"]);
        const untilMs = on.clock.monotonic() + deniedMs;
        for (const name of happens) {
          await steps[name](on);
          await settle();
        }
        const [, ...later] = on.source.askedAtMs;
        expect(later.every((atMs) => atMs >= untilMs)).toBe(true);
        await on.held.close();
      }),
    );
  });

  it("gives nobody a grant that has run out", async () => {
    await fc.assert(
      fc.asyncProperty(history, async (happens) => {
        const on = await run(happens);
        on.source.answers.splice(0);
        const { current } = on.held;
        await on.clock.advance(ttlMs);
        expect(on.held.current === undefined || on.held.current !== current).toBe(true);
        await on.held.close();
      }),
    );
  });
});
