import type { CodeName } from "../wire/codes.ts";
import type { RpcAnswer } from "../wire/rpc-answer.ts";
import { BrokenRule, NotServed } from "./finding.ts";

const maxShown = 200;

/** A value as a report shows it: short, on one line. */
export function shown(value: unknown): string {
  const json = JSON.stringify(value, (key, part) => {
    if (key === "$typeName") return undefined;
    return typeof part === "bigint" ? String(part) : part;
  });
  const text = json ?? String(value);
  return text.length <= maxShown ? text : `${text.slice(0, maxShown)}… (${text.length} characters)`;
}

/** @throws {BrokenRule} telling what was seen instead. */
export function expectThat(holds: boolean, seen: string): asserts holds {
  if (!holds) throw new BrokenRule(seen);
}

/** @throws {BrokenRule} unless both are the same; objects by their JSON. */
export function expectSame(what: string, seen: unknown, expected: unknown): void {
  const same = seen === expected || shown(seen) === shown(expected);
  if (!same) throw new BrokenRule(`${what} is ${shown(seen)}, not ${shown(expected)}`);
}

/** The message of an answer. @throws {BrokenRule} for an error. {NotServed} when there is no such RPC. */
export function expectOk<T>(what: string, answer: RpcAnswer<T>): T {
  if (answer.kind === "message") return answer.message;
  if (answer.kind === "absent") throw new NotServed(`${what}: ${answer.seen}`);
  if (answer.kind === "malformed") throw new BrokenRule(`${what}: ${answer.seen}`);
  throw new BrokenRule(`${what}: ${answer.error.code} (${answer.error.message})`);
}

/** @throws {BrokenRule} unless the answer is an error of that code. {NotServed} when there is no such RPC. */
export function expectError(what: string, answer: RpcAnswer<unknown>, code: CodeName): void {
  if (answer.kind === "absent") throw new NotServed(`${what}: ${answer.seen}`);
  if (answer.kind === "malformed") throw new BrokenRule(`${what}: ${answer.seen}`);
  if (answer.kind === "message") throw new BrokenRule(`${what}: no error but ${shown(answer.message)}`);
  if (answer.error.code !== code) {
    throw new BrokenRule(`${what}: ${answer.error.code} (${answer.error.message}), not ${code}`);
  }
}
