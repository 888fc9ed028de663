import type { CallOptions } from "@connectrpc/connect";
import { collect } from "../support/collect.ts";
import type { Step, StepInit } from "./contract-messages.ts";
import type { Caller, ContractCase, Kind, Subject } from "./subject.ts";

type Open = (client: Caller, step: StepInit, options: CallOptions | undefined, before: number) => AsyncIterable<Step>;

const kind = (name: Kind["kind"], open: Open): Kind => ({
  kind: name,
  bidi: name === "bidi stream",
  streamsOut: name === "server stream" || name === "bidi stream",
  open: (client, step, options, before = 0) => open(client, step, options, before),
  call: (client, step, options, before = 0) => collect(open(client, step, options, before)),
});

export const kinds: readonly Kind[] = [
  kind("unary", (client, step, options) => once(() => client.unary(step, options))),
  kind("server stream", (client, step, options, before) =>
    client.serverStream(before > 0 ? { ...step, count: before } : step, options),
  ),
  kind("client stream", (client, step, options, before) =>
    once(() => client.clientStream(stepsThen(step, before), options)),
  ),
  kind("bidi stream", (client, step, options, before) => client.bidiStream(stepsThen(step, before), options)),
];

/** The kinds whose calls send, and answer, more than one message. */
export const streamKinds: readonly Kind[] = kinds.filter((each) => each.streamsOut);

/** The same case for each of some kinds. */
export function forKinds(
  title: string,
  run: (subject: Subject, kind: Kind) => Promise<void>,
  some: readonly Kind[] = kinds,
): ContractCase[] {
  return some.map((each) => ({
    title: `${title} (${each.kind})`,
    bidi: each.bidi,
    run: (subject) => run(subject, each),
  }));
}

export async function* stream<T>(...items: T[]): AsyncGenerator<T, void, void> {
  yield* items;
}

async function* stepsThen(step: StepInit, before: number): AsyncGenerator<StepInit, void, void> {
  for (let count = 1; count <= before; count++) yield { text: `${count}`, key: step.key ?? "" };
  yield step;
}

async function* once(call: () => Promise<Step>): AsyncGenerator<Step, void, void> {
  yield await call();
}
