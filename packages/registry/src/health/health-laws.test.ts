import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Behaviour, healthScene, healthy, reportOf, says } from "../../test/support/health-scene.ts";
import type { CallResult } from "./health-monitor.ts";
import { ejectionRoom } from "./health-shares.ts";
import type { HealthLevel } from "./provider-health.ts";

const types = ["logger", "storage"];
const id = fc.integer({ min: 0, max: 11 }).map((number) => `p${number}`);
const level = fc.constantFrom<HealthLevel>("healthy", "degraded", "unhealthy");
const behaviour = fc.oneof(
  fc.constantFrom<Behaviour>(healthy, { kind: "refused" }, { kind: "reset" }, { kind: "inconclusive" }, "hang"),
  level.map(says),
);
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("register" as const), id, type: fc.constantFrom(...types) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("remove" as const), id }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("unregister" as const), id }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("expire" as const), id }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drain" as const), id }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("behave" as const), id, behaviour }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("report" as const), id, level }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("call" as const),
      id,
      result: fc.constantFrom<CallResult>("ok", "failed", "refused", "reset", "timeout"),
      times: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.nat(4_000) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function take(scene: ReturnType<typeof healthScene>, one: Step): Promise<void> {
  switch (one.do) {
    case "register":
      scene.register(one.id, one.type);
      break;
    case "remove":
      scene.store.removeProvider(one.id, "removed");
      break;
    case "unregister":
      for (const registration of scene.store.ofProvider(one.id).slice(0, 1)) {
        scene.store.unregister(registration.id, "unregistered");
      }
      break;
    case "expire":
      scene.identities.end(one.id, "expired");
      break;
    case "drain":
      scene.store.setDraining(one.id);
      break;
    case "behave":
      scene.fake.set(one.id, one.behaviour);
      break;
    case "report":
      scene.monitor.report(one.id, reportOf(one.level));
      break;
    case "call":
      scene.call(one.id, one.result, one.times);
      break;
    case "wait":
      await scene.clock.advance(one.ms);
  }
}

/** What must never be, of one moment. */
function wrongs({ store, source }: ReturnType<typeof healthScene>, ejectionOnly: ReadonlySet<string>): string[] {
  return types.flatMap((type) => {
    const all = store.ofType(type).map(({ providerId }) => providerId);
    const ejected = all.filter((provider) => ejectionOnly.has(provider));
    const takesCalls = all.filter((provider) => {
      const known = store.provider(provider);
      return known !== undefined && !known.draining && known.health.level !== "unhealthy";
    });
    const waits = all.filter((one) => source(one) === "ejection" && store.provider(one)?.draining === false);
    const found: string[] = [];
    if (ejected.length > ejectionRoom(all.length, 0.1)) found.push(`${ejected.length} of ${all.length} ejected`);
    if (takesCalls.length === 0 && waits.length > 0) found.push("nobody left but who is ejected");
    return found;
  });
}

describe("health monitor", () => {
  it("never ejects too many, never hides for an ejection the last one, and believes each refused connection", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
        const ejected = new Set<string>();
        const scene = healthScene({
          onEvent(event) {
            if (event.type === "ejected") ejected.add(event.providerId);
            if (event.type === "readmitted") ejected.delete(event.providerId);
          },
        });
        const hidden = new Set<string>();
        scene.store.onChange((change) => {
          if (change.type === "provider-removed") ejected.delete(change.provider.id);
          if (change.type !== "provider-changed") return;
          if (change.provider.health.level === "unhealthy") hidden.add(change.provider.id);
        });
        const found: string[] = [];
        for (const one of steps) {
          const before = "id" in one ? scene.level(one.id) : undefined;
          hidden.clear();
          await take(scene, one);
          found.push(...wrongs(scene, ejected));
          const isProof = one.do === "call" && (one.result === "refused" || one.result === "reset");
          // It may be back by now: it is asked at once, and may answer at once.
          if (isProof && before !== undefined && before !== "unhealthy" && !hidden.has(one.id))
            found.push("not believed");
        }
        expect(found).toEqual([]);
        await scene.monitor.close();
        expect([scene.clock.pending, scene.fake.open.size, scene.errors]).toEqual([0, 0, []]);
      }),
      { numRuns: 300 },
    );
  });

  it("shows everybody again, and all the same, once all answer and nobody complains", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const scene = healthScene();
        for (const one of steps) await take(scene, one);
        const providers = scene.store.providers().map((provider) => provider.id);
        for (const provider of providers) {
          scene.fake.set(provider, healthy);
          scene.monitor.report(provider, reportOf("healthy"));
        }
        await scene.clock.advance(300_000);
        const left = scene.store.providers().map((provider) => `${provider.id} ${provider.health.level}`);
        expect(left.filter((text) => !text.endsWith(" healthy"))).toEqual([]);
        await scene.monitor.close();
      }),
      { numRuns: 20 },
    );
  });
});
