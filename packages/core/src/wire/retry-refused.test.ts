import { EventEmitter } from "node:events";
import type { ClientHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import type { UniversalClientFn, UniversalClientRequest, UniversalClientResponse } from "@connectrpc/connect/protocol";
import { describe, expect, it } from "vitest";
import { retryRefused } from "./retry-refused.ts";
import { rememberReset } from "./stream-reset.ts";

/** An error as a stream raises it that the peer has reset. */
function reset(rstCode: number): Error {
  const stream = Object.assign(new EventEmitter(), { rstCode });
  rememberReset(stream as EventEmitter as ClientHttp2Stream);
  const error = new Error("reset");
  stream.emit("error", error);
  return error;
}
const refused = () => reset(constants.NGHTTP2_REFUSED_STREAM);

const chunk = (text: string) => new TextEncoder().encode(text);
const answer = { status: 200, header: new Headers(), body: (async function* () {})(), trailer: new Headers() };

/** A body that tells what was thrown into it. */
function bodyOf(chunks: readonly Uint8Array[]) {
  const thrown: unknown[] = [];
  let at = 0;
  const body: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const value = chunks[at++];
        return value === undefined ? { done: true, value: undefined } : { done: false, value };
      },
      throw: async (reason) => {
        thrown.push(reason);
        return { done: true, value: undefined };
      },
    }),
  };
  return { body, thrown };
}

/** Reads `reads[attempt]` chunks (undefined: all), then fails with what `failures` has for that attempt. */
function clientOf(failures: readonly (Error | undefined)[], reads: readonly (number | undefined)[] = []) {
  const seen: string[] = [];
  const client: UniversalClientFn = async ({ body }): Promise<UniversalClientResponse> => {
    const attempt = seen.push("") - 1;
    const source = body?.[Symbol.asyncIterator]();
    const most = reads[attempt] ?? Number.POSITIVE_INFINITY;
    for (let count = 0; source && count < most; count++) {
      const result = await source.next();
      if (result.done) break;
      seen[attempt] += new TextDecoder().decode(result.value).slice(0, 10);
    }
    const failure = failures[attempt];
    if (failure === undefined) return answer;
    await source?.throw?.(failure);
    throw failure;
  };
  return { client, seen };
}

function requestOf(body?: AsyncIterable<Uint8Array>, signal?: AbortSignal): UniversalClientRequest {
  return { method: "POST", url: "http://localhost/s/m", header: new Headers(), body, signal } as UniversalClientRequest;
}

describe("a refused call", () => {
  it("is sent again with its whole body, wherever the refusal came", async () => {
    const { client, seen } = clientOf([refused(), refused(), undefined], [0, 1]);
    const { body, thrown } = bodyOf([chunk("one "), chunk("two "), chunk("three")]);
    await expect(retryRefused(client)(requestOf(body))).resolves.toBe(answer);
    expect(seen).toEqual(["", "one ", "one two three"]);
    expect(thrown).toEqual([]);
  });

  it("fails after three attempts, and tells whoever makes the body", async () => {
    const last = refused();
    const { client, seen } = clientOf([refused(), refused(), last]);
    const { body, thrown } = bodyOf([chunk("x")]);
    await expect(retryRefused(client)(requestOf(body))).rejects.toBe(last);
    expect(seen).toEqual(["x", "x", "x"]);
    expect(thrown).toEqual([last]);
  });

  it("is found as a cause", async () => {
    const { client, seen } = clientOf([new Error("outer", { cause: refused() }), undefined]);
    await retryRefused(client)(requestOf());
    expect(seen).toHaveLength(2);
  });

  it.each([
    ["for another reason", reset(constants.NGHTTP2_CANCEL), bodyOf([chunk("x")]).body, undefined],
    ["when its caller has gone", refused(), bodyOf([chunk("x")]).body, AbortSignal.abort("gone")],
    ["that sent more than is kept", refused(), bodyOf([new Uint8Array(65_537)]).body, undefined],
  ])("is not sent again %s", async (_, failure, body, signal) => {
    const { client, seen } = clientOf([failure, undefined]);
    await expect(retryRefused(client)(requestOf(body, signal))).rejects.toBe(failure);
    expect(seen).toHaveLength(1);
  });

  it("loses nothing that a refused attempt had begun to read when the answer comes early", async () => {
    const gate = Promise.withResolvers<void>();
    async function* slow() {
      yield chunk("one ");
      await gate.promise;
      yield chunk("two");
    }
    let reader: AsyncIterator<Uint8Array> | undefined;
    let attempts = 0;
    const client: UniversalClientFn = async ({ body }) => {
      reader = body?.[Symbol.asyncIterator]();
      attempts++;
      await reader?.next();
      if (attempts === 1) {
        void reader?.next(); // under way when the refusal comes
        throw refused();
      }
      return answer;
    };
    await retryRefused(client)(requestOf(slow()));
    gate.resolve();
    expect(await reader?.next()).toMatchObject({ value: chunk("two") });
    expect(await reader?.next()).toMatchObject({ done: true });
  });
});
