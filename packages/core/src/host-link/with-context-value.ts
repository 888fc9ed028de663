import { type ContextKey, type ContextValues, createContextValues } from "@connectrpc/connect";

/** The caller's values, which stay as they are, and one more. */
export function withContextValue<T>(
  values: ContextValues = createContextValues(),
  ownKey: ContextKey<T>,
  value: T,
): ContextValues {
  const own = createContextValues().set(ownKey, value);
  const of = (key: ContextKey<unknown>) => (key.id === ownKey.id ? own : values);
  const merged: ContextValues = {
    get: (key) => of(key).get(key),
    set(key, value) {
      of(key).set(key, value);
      return merged;
    },
    delete(key) {
      of(key).delete(key);
      return merged;
    },
  };
  return merged;
}
