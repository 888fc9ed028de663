import type { Grant } from "./grant.ts";
import { addTo, removeFrom } from "./set-index.ts";

/** What is looked up. `grant` may be replaced by one with the same id, accessor, holder and type. */
export interface Indexed {
  readonly grant: Pick<Grant, "id" | "accessor" | "holder" | "type">;
  /** Runtime id of who asked for it: whose limit it counts towards. */
  readonly askedBy: string;
}

/** Live grants by all that they are looked up by. To add and remove takes the same time however many there are. */
export interface GrantIndex<T extends Indexed> {
  readonly byId: ReadonlyMap<string, T>;
  readonly byAccessor: ReadonlyMap<string, T>;
  /** No set is empty. */
  readonly byHolder: ReadonlyMap<string, ReadonlySet<T>>;
  /** No set is empty. */
  readonly byType: ReadonlyMap<string, ReadonlySet<T>>;
  /** How many each asked for; nobody with none. */
  readonly asked: ReadonlyMap<string, number>;
  add(item: T): void;
  /** Keeps nothing of it. Returns whether it was there. */
  remove(item: T): boolean;
}

export function createGrantIndex<T extends Indexed>(): GrantIndex<T> {
  const byId = new Map<string, T>();
  const byAccessor = new Map<string, T>();
  const byHolder = new Map<string, Set<T>>();
  const byType = new Map<string, Set<T>>();
  const asked = new Map<string, number>();
  return {
    byId,
    byAccessor,
    byHolder,
    byType,
    asked,
    add(item) {
      const { grant, askedBy } = item;
      byId.set(grant.id, item);
      byAccessor.set(grant.accessor, item);
      addTo(byHolder, grant.holder, item);
      addTo(byType, grant.type, item);
      asked.set(askedBy, (asked.get(askedBy) ?? 0) + 1);
    },
    remove(item) {
      const { grant, askedBy } = item;
      if (!byId.delete(grant.id)) return false;
      byAccessor.delete(grant.accessor);
      removeFrom(byHolder, grant.holder, item);
      removeFrom(byType, grant.type, item);
      const left = (asked.get(askedBy) ?? 0) - 1;
      if (left > 0) asked.set(askedBy, left);
      else asked.delete(askedBy);
      return true;
    },
  };
}
