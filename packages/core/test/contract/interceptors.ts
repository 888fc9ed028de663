import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextKey, createContextValues, type Interceptor } from "@connectrpc/connect";
import { expect } from "vitest";
import { StepSchema } from "./contract-messages.ts";
import { forKinds } from "./kinds.ts";
import type { ContractCase } from "./subject.ts";
import { logOf } from "./witnessed.ts";

/** What an interceptor of the client is to do with one call. */
export interface Hook {
  readonly log: string[];
  readonly act?: "refuse" | "change the request" | "change the answer" | undefined;
}
const hookKey = createContextKey<Hook | undefined>(undefined, { description: "what a test wants of a call" });

/** Two layers, which do nothing to calls without a hook. */
export const clientLayers: readonly Interceptor[] = [clientLayer("outer"), clientLayer("inner")];

function clientLayer(name: string): Interceptor {
  return (next) => async (request) => {
    const hook = request.contextValues.get(hookKey);
    if (hook === undefined) return next(request);
    hook.log.push(`client ${name} sees the request`);
    const header = new Headers(request.header);
    header.append("x-client-layers", name);
    if (hook.act === "refuse" && name === "inner") throw new ConnectError("refused at home", Code.Aborted);
    const changed = { ...request, header };
    const response = await next(
      hook.act === "change the request" && !changed.stream
        ? { ...changed, message: create(changed.method.input, { text: `by ${name}` } as never) }
        : changed,
    );
    hook.log.push(`client ${name} sees the response`);
    response.header.append("x-client-layers", name);
    if (hook.act === "change the answer" && !response.stream) {
      return { ...response, message: create(StepSchema, { text: `answer by ${name}` }) };
    }
    return response.stream ? { ...response, message: toEnd(response.message, hook.log, name) } : response;
  };
}

async function* toEnd<T>(messages: AsyncIterable<T>, log: string[], name: string): AsyncGenerator<T, void, void> {
  yield* messages;
  log.push(`client ${name} sees the end`);
}

const inward = ["client outer", "client inner", "server outer", "server inner"];
const outward = [...inward].reverse();
const side = (name: string) => (line: string) => line.startsWith(name);

export const interceptorCases: readonly ContractCase[] = [
  ...forKinds("interceptors of both sides run in their order, outermost first", async (subject, kind) => {
    const { layered, layeredWitness: witness, key } = subject;
    const hook: Hook = { log: [] };
    const contextValues = createContextValues().set(hookKey, hook);
    let header: Headers | undefined;
    let trailer: Headers | undefined;
    await kind.call(
      layered,
      { text: "a" },
      {
        contextValues,
        headers: { "x-log-key": key },
        onHeader: (headers) => {
          header = headers;
        },
        onTrailer: (headers) => {
          trailer = headers;
        },
      },
      1,
    );
    const serverLog = await logOf({ witness }, key);
    const sees = (what: string) => outward.map((layer) => `${layer} sees the ${what}`);
    const expected = [
      ...inward.map((layer) => `${layer} sees the request`),
      ...sees("response"),
      // A client stream has one answer, and an end all the same.
      ...(kind.kind === "unary" ? [] : sees("end")),
    ];
    // The end of a stream is behind its last message: who closes it from outside sees it later.
    const bySide = (name: string) => expected.filter(side(name));
    expect([...hook.log].sort()).toEqual(bySide("client").sort());
    expect(hook.log.slice(0, 4)).toEqual(bySide("client").slice(0, 4));
    expect([...serverLog].sort()).toEqual(bySide("server").sort());
    expect(serverLog.slice(0, 4)).toEqual(bySide("server").slice(0, 4));
    expect(header?.get("x-layers")).toBe("inner, outer");
    expect(trailer?.get("x-layers-end")).toBe("inner, outer");
    expect(header?.get("x-client-layers")).toBe("inner, outer");
  }),
  ...forKinds("a handler sees the headers and context values that interceptors set", async ({ layered }, kind) => {
    const contextValues = createContextValues().set(hookKey, { log: [] });
    const [answer] = await kind.call(layered, { act: "facts" }, { contextValues });
    expect(answer?.facts).toMatchObject({
      layer: "inner",
      "header:x-layers": "outer, inner",
      "header:x-client-layers": "outer, inner",
    });
  }),
  ...forKinds("context values of the client do not travel", async ({ layered, contract }, kind) => {
    const contextValues = createContextValues().set(hookKey, { log: [] });
    const [answer] = await kind.call(contract, { act: "facts" }, { contextValues });
    expect(answer?.facts.layer).toBe("not set");
    const [next] = await kind.call(layered, { act: "facts" });
    expect(next?.facts["header:x-client-layers"]).toBeUndefined();
  }),
  ...forKinds("an interceptor of the client refuses a call before the plugin sees it", async (subject, kind) => {
    const { layered, layeredWitness: witness, key } = subject;
    const contextValues = createContextValues().set(hookKey, { log: [], act: "refuse" });
    const call = kind.call(layered, { text: "a" }, { contextValues, headers: { "x-log-key": key } });
    await expect(call).rejects.toMatchObject({ code: Code.Aborted, rawMessage: "refused at home" });
    expect(await logOf({ witness }, key)).toEqual([]);
  }),
  ...forKinds("an interceptor of the server refuses a call before the handler sees it", async (subject, kind) => {
    const { layered, layeredWitness: witness, key } = subject;
    const call = kind.call(layered, { act: "fail", code: 3 }, { headers: { "x-refuse": "1", "x-log-key": key } });
    await expect(call).rejects.toMatchObject({
      code: Code.PermissionDenied,
      rawMessage: "refused by an interceptor",
    });
    expect(await logOf({ witness }, key)).toEqual(["server outer sees the request", "server inner sees the request"]);
  }),
  ...forKinds("errors pass interceptors of both sides as they are", async ({ layered }, kind) => {
    const contextValues = createContextValues().set(hookKey, { log: [] });
    const step = { act: "fail", code: Code.DataLoss, text: "gone", facts: { "metadata:x-why": "rain" } };
    const error = ConnectError.from(await kind.call(layered, step, { contextValues }).catch((reason) => reason));
    expect([error.code, error.rawMessage, error.metadata.get("x-why")]).toEqual([Code.DataLoss, "gone", "rain"]);
    expect(error.findDetails(StepSchema)).toHaveLength(2);
  }),
  {
    title: "an interceptor replaces a request",
    async run({ layered }) {
      const contextValues = createContextValues().set(hookKey, { log: [], act: "change the request" });
      expect((await layered.unary({ text: "mine" }, { contextValues })).text).toBe("by inner");
    },
  },
  {
    title: "an interceptor replaces an answer",
    async run({ layered }) {
      const contextValues = createContextValues().set(hookKey, { log: [], act: "change the answer" });
      expect((await layered.unary({ text: "mine" }, { contextValues })).text).toBe("answer by outer");
    },
  },
];
