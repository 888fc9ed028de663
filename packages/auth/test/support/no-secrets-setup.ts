// Runs around every test file of this package: no credential that a server got to see may stand in anything that is logged,
// or in any error that the code under test made: message, stack, causes, metadata.
import { afterAll, expect } from "vitest";
import { captureOutput } from "./capture-output.ts";
import { everythingOf } from "./everything-of.ts";
import { createSecretScanner } from "./secret-scanner.ts";

const scanner = createSecretScanner();
const output = captureOutput();
const errors: Error[] = [];

/** Headers in which tests send credentials. Shorter ones than this stand in texts by chance. */
const credentialHeaders = new Set(["authorization", "x-api-key", "x-token"]);
const leastLength = 8;
const { get } = Headers.prototype;
Object.defineProperty(Headers.prototype, "get", {
  value: function reading(this: Headers, name: string) {
    const value = get.call(this, name);
    const credential = value?.split(" ").at(-1) ?? "";
    if (credentialHeaders.has(name.toLowerCase()) && credential.length >= leastLength) scanner.add(credential);
    return value;
  },
});

/** Sees every error that is made with these classes, or with classes that extend them and are loaded from now on. */
for (const name of ["Error", "TypeError", "RangeError", "AggregateError"] as const) {
  const seeing: ProxyHandler<ErrorConstructor> = {
    construct(target, args, newTarget) {
      const error: Error = Reflect.construct(target, args, newTarget);
      errors.push(error);
      return error;
    },
  };
  Object.assign(globalThis, { [name]: new Proxy(globalThis[name] as ErrorConstructor, seeing) });
}

/** A test may make an error with a secret in it; then it must not be the cause of one that is not its own. */
const madeByTests = /\/packages\/auth\/test\/|\/node_modules\/.*(?:vitest|chai|fast-check)/;
const isOurs = ({ stack = "" }: Error) => !madeByTests.test(/^\s+at .*$/m.exec(stack)?.[0] ?? "");

afterAll(() => {
  output.stop();
  const leaks = [...output.said, ...errors.filter(isOurs)].flatMap((thing) => {
    const text = everythingOf(thing);
    return scanner.find(text) === undefined && !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) ? [] : [thing];
  });
  expect(leaks, "with credentials in them").toEqual([]);
});
