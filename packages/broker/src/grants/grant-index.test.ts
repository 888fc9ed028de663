import fc from "fast-check";
import { expect, it } from "vitest";
import { createGrantIndex, type Indexed } from "./grant-index.ts";

const names = fc.constantFrom("a", "b", "c");
const item = fc.record({ holder: names, type: names, askedBy: names });
const step = fc.oneof(
  item.map((what) => ({ add: what })),
  fc.nat(30).map((index) => ({ remove: index })),
);

function keysOf<K>(items: readonly Indexed[], key: (item: Indexed) => K): Map<K, Set<Indexed>> {
  const sets = new Map<K, Set<Indexed>>();
  for (const each of items) sets.set(key(each), new Set([...(sets.get(key(each)) ?? []), each]));
  return sets;
}

it("finds what was added by each of its names, and keeps nothing of what was removed", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const index = createGrantIndex<Indexed>();
      const known: Indexed[] = [];
      let present: Indexed[] = [];
      const check = (): void => {
        expect(index.byId).toEqual(new Map(present.map((each) => [each.grant.id, each])));
        expect(index.byAccessor).toEqual(new Map(present.map((each) => [each.grant.accessor, each])));
        expect(index.byHolder).toEqual(keysOf(present, ({ grant }) => grant.holder));
        expect(index.byType).toEqual(keysOf(present, ({ grant }) => grant.type));
        const asked = [...keysOf(present, ({ askedBy }) => askedBy)].map(([who, { size }]) => [who, size] as const);
        expect(index.asked).toEqual(new Map(asked));
      };
      const remove = (gone: Indexed): void => {
        expect(index.remove(gone)).toBe(present.includes(gone));
        present = present.filter((each) => each !== gone);
      };
      for (const one of steps) {
        if ("add" in one) {
          const { holder, type, askedBy } = one.add;
          const added = { grant: { id: `id-${known.length}`, accessor: `acc-${known.length}`, holder, type }, askedBy };
          index.add(added);
          known.push(added);
          present.push(added);
        } else {
          const gone = known[one.remove % Math.max(1, known.length)];
          if (gone !== undefined) remove(gone);
        }
      }
      check();
      for (const each of known) remove(each);
      check();
    }),
  );
});
