import { Code, ConnectError } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createIdentityRegistry, type IdentityRegistry, type IssuedIdentity } from "./identity-registry.ts";

const ttlMs = 100;
const maxIdentities = 4;

interface Modelled {
  readonly issued: IssuedIdentity;
  used: boolean;
  expiresAtMs: number;
}

/** What the registry should do, as a list that is searched. */
interface Model {
  nowMs: number;
  live: Modelled[];
  readonly gone: IssuedIdentity[];
}

interface Real {
  readonly clock: FakeClock;
  readonly identities: IdentityRegistry;
}

class Command implements fc.AsyncCommand<Model, Real> {
  readonly name: string;
  readonly body: (model: Model, real: Real) => void | Promise<void>;

  constructor(name: string, body: (model: Model, real: Real) => void | Promise<void>) {
    this.name = name;
    this.body = body;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    await this.body(model, real);
    expect(real.identities.size).toBe(model.live.length);
    expect(real.identities.size).toBeLessThanOrEqual(maxIdentities);
    for (const { identity, token } of model.gone) {
      expect(() => real.identities.verify(identity.runtimeId, token)).toThrow();
      expect(identity.ended.aborted).toBe(true);
    }
    for (const { issued } of model.live) {
      expect(real.identities.get(issued.identity.runtimeId)).toBe(issued.identity);
      expect(issued.identity.ended.aborted).toBe(false);
    }
    expect(real.clock.pending).toBeLessThanOrEqual(1);
  }

  toString(): string {
    return this.name;
  }
}

function pick(model: Model, index: number): Modelled | undefined {
  return model.live[index % Math.max(1, model.live.length)];
}

function drop(model: Model, entry: Modelled): void {
  model.live = model.live.filter((other) => other !== entry);
  model.gone.push(entry.issued);
}

/** Makes room as the registry should; false when that is impossible. */
function makeRoom(model: Model): boolean {
  if (model.live.length < maxIdentities) return true;
  const [oldest] = model.live.filter(({ used }) => !used).sort((a, b) => a.expiresAtMs - b.expiresAtMs);
  if (oldest !== undefined) drop(model, oldest);
  return oldest !== undefined;
}

const issue = fc.constant(
  new Command("issue", (model, { identities }) => {
    const possible = makeRoom(model);
    let issued: IssuedIdentity | undefined;
    try {
      issued = identities.issue({ selfId: "p" });
      model.live.push({ issued, used: false, expiresAtMs: model.nowMs + ttlMs });
    } catch (error) {
      if (ConnectError.from(error).code !== Code.ResourceExhausted) throw error;
    }
    expect(issued !== undefined).toBe(possible);
  }),
);
const verify = fc.nat(9).map(
  (index) =>
    new Command(`verify ${index}`, (model, { identities }) => {
      const entry = pick(model, index);
      if (entry === undefined) return;
      const { identity, token } = entry.issued;
      expect(identities.verify(identity.runtimeId, token)).toBe(identity);
      entry.used = true;
    }),
);
const guess = fc.tuple(fc.nat(9), fc.string()).map(
  ([index, token]) =>
    new Command(`guess ${index}`, (model, { identities }) => {
      const entry = pick(model, index);
      expect(() => identities.verify(entry?.issued.identity.runtimeId ?? "p-0", token)).toThrow();
    }),
);
const renew = fc.nat(9).map(
  (index) =>
    new Command(`renew ${index}`, (model, { identities }) => {
      const entry = pick(model, index);
      if (entry === undefined) return;
      identities.renew(entry.issued.identity.runtimeId);
      entry.used = true;
      entry.expiresAtMs = model.nowMs + ttlMs;
    }),
);
const revoke = fc.nat(9).map(
  (index) =>
    new Command(`revoke ${index}`, (model, { identities }) => {
      const entry = pick(model, index);
      if (entry === undefined) return;
      expect(identities.revoke(entry.issued.identity.runtimeId)).toBe(true);
      drop(model, entry);
    }),
);
const advance = fc.integer({ min: 0, max: 120 }).map(
  (ms) =>
    new Command(`advance ${ms}`, async (model, { clock }) => {
      await clock.advance(ms);
      model.nowMs += ms;
      for (const entry of model.live) if (entry.expiresAtMs <= model.nowMs) drop(model, entry);
    }),
);

describe("identity registry, against a model", () => {
  it("never exceeds its cap, never takes an ended token, always takes a live one", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.commands([issue, issue, verify, guess, renew, revoke, advance], { maxCommands: 60, size: "max" }),
        (commands) => {
          const clock = new FakeClock();
          const setup = () => ({
            model: { nowMs: 0, live: [], gone: [] },
            real: { clock, identities: createIdentityRegistry({ ttlMs, maxIdentities, clock }) },
          });
          return fc.asyncModelRun(setup, commands);
        },
      ),
      { numRuns: 100 },
    );
  });
});
