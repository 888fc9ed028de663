import { randomBytes } from "node:crypto";
import { type AuthProvider, authorize } from "@cpg/auth";
import { afterAll, expect } from "vitest";
import { captureOutput } from "./capture-output.ts";
import { everythingOf } from "./everything-of.ts";
import { guardedService } from "./guarded-service.ts";
import { createSecretScanner, type SecretScanner } from "./secret-scanner.ts";

/** The secrets of a test, and all that came out of what it did with them: events, decisions, reloads, errors, answers. */
export interface SecretWatch {
  readonly heard: readonly unknown[];
  hear(thing: unknown): void;
  /** Makes this a secret; default: a random text. */
  secret(text?: string): string;
  /** Hears what a call returns or throws. */
  try(work: () => unknown): Promise<void>;
  /** What was heard and holds a piece of a secret. */
  leaks(): { readonly piece: string; readonly thing: unknown }[];
}

/** For one test file: how to watch secrets. None of them may be in what is logged until the tests of the file have ended. */
export function secretWatches(): () => SecretWatch {
  const output = captureOutput();
  const scanners: SecretScanner[] = [];
  afterAll(() => {
    output.stop();
    const texts = output.said.map(everythingOf);
    expect(texts.filter((text) => scanners.some((scanner) => scanner.find(text) !== undefined))).toEqual([]);
  });
  return () => {
    const scanner = createSecretScanner();
    scanners.push(scanner);
    return createSecretWatch(scanner);
  };
}

function createSecretWatch(scanner: SecretScanner): SecretWatch {
  const heard: unknown[] = [];
  const hear = (thing: unknown): void => void heard.push(thing);
  return {
    heard,
    hear,
    secret(text = randomBytes(24).toString("base64url")) {
      scanner.add(text);
      return text;
    },
    async try(work) {
      try {
        hear(await work());
      } catch (reason) {
        hear(reason);
      }
    },
    leaks: () =>
      heard.flatMap((thing) => {
        const piece = scanner.find(everythingOf(thing));
        return piece === undefined ? [] : [{ piece, thing }];
      }),
  };
}

/** Makes calls with these headers: unary and as a stream, with a rule that allows one caller, and without a server. */
export async function callWith(
  watched: SecretWatch,
  provider: AuthProvider,
  headers: Record<string, string>,
): Promise<void> {
  const rules = authorize({ rules: [{ name: "ann only", identities: ["ann"] }], onDecision: watched.hear });
  const { client } = guardedService({ server: [provider.serverInterceptor(), rules] });
  await watched.try(() => client.check({}, { headers }));
  await watched.try(() => readAll(client.watch({}, { headers })));
  const header = new Headers(headers);
  await watched.try(() => provider.authenticate({ header, peer: undefined, path: "/cpg.Test/Call" }));
  watched.hear(provider);
}

export async function readAll(messages: AsyncIterable<unknown>): Promise<readonly unknown[]> {
  const all: unknown[] = [];
  for await (const message of messages) all.push(message);
  return all;
}
