/**
 * The getter of a class as a property of each of its objects, for `Object.defineProperty`: interceptors may copy requests
 * and responses by spread, which takes own properties only. As one descriptor for all objects it costs a tenth of making
 * the Headers behind it; a getter in an object literal costs more than all the rest of a call. Set, the property becomes a
 * plain one.
 */
export function ownAccessor(prototype: object, name: string): PropertyDescriptor {
  const { get } = Object.getOwnPropertyDescriptor(prototype, name) ?? {};
  if (get === undefined) throw new TypeError(`there is no getter ${name}`);
  return {
    get,
    set(value) {
      Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
    },
    enumerable: true,
    configurable: true,
  };
}
