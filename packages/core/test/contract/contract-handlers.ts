import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextKey, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { callerIdKey } from "@cpg/core";
import { peerKey } from "@cpg/resilience";
import {
  type ContractService,
  type Step,
  type StepInit,
  StepSchema,
  type WitnessService,
} from "./contract-messages.ts";
import type { Journal } from "./journal.ts";

/** Set by the interceptors of the server, for a handler to see. */
export const layerKey = createContextKey("not set", { description: "what an interceptor said" });

/** An error that is thrown more than once. */
const oneForAll = new ConnectError("as always", Code.Aborted, { "x-why": "rain" });

/** What no caller may ever see. */
export const secret = "a secret of the plugin";

/**
 * Does what the `act` of a request says; without one it echoes.
 *
 * unary: one answer. serverStream: `count` numbered copies, then what `act` answers. clientStream: what the last `act`
 * answers, else the texts joined and how many there were. bidiStream: one answer to each request.
 */
export function createContract(journal: Journal): ServiceImpl<typeof ContractService> {
  const perform = createPerformer(journal);
  return {
    async unary(request, context) {
      return tracked(journal, async () => {
        setHeaders(request, context);
        return request.act === "" ? request : perform(request, context);
      });
    },
    async *serverStream(request, context) {
      yield* trackedStream(journal, request.key, async function* () {
        noteEnd(journal, request.key, context.signal);
        setHeaders(request, context);
        for (let count = 1; count <= request.count; count++) {
          journal.note(`${request.key} produced`);
          yield { ...request, count };
        }
        if (request.act !== "") yield await perform(request, context);
      });
    },
    async clientStream(requests, context) {
      return tracked(journal, async () => {
        const texts: string[] = [];
        let answer: StepInit | undefined;
        for await (const request of requests) {
          journal.note(`${request.key} read`);
          if (texts.length === 0) noteEnd(journal, request.key, context.signal);
          setHeaders(request, context);
          if (request.act === "leave") return { text: "left early" };
          if (request.act === "open") journal.open(request.key);
          else if (request.act !== "") answer = await perform(request, context);
          if (request.act === "gate") answer = undefined;
          texts.push(request.text);
        }
        return answer ?? { text: texts.join(""), count: texts.length };
      });
    },
    async *bidiStream(requests, context) {
      yield* trackedStream(journal, "", async function* () {
        let count = 0;
        let tellEnd = false;
        for await (const request of requests) {
          count++;
          if (count === 1) noteEnd(journal, request.key, context.signal);
          setHeaders(request, context);
          tellEnd ||= request.act === "tell the end";
          if (request.act === "" || request.act === "tell the end") yield request;
          else if (request.act === "leave") break;
          else if (request.act === "produce") yield* produce(journal, request);
          else yield await perform(request, context);
        }
        if (tellEnd) yield { text: "end", count };
      });
    },
  };
}

export function createWitness(journal: Journal): ServiceImpl<typeof WitnessService> {
  return {
    seen: ({ key, count }, { signal }) => journal.seen(key, Math.max(1, count), signal),
    peek: ({ key }) => journal.peek(key),
    open({ key }) {
      journal.open(key);
      return {};
    },
    log: ({ key }) => ({ facts: Object.fromEntries(journal.log(key).map((text, index) => [`${index}`, text])) }),
  };
}

function createPerformer(journal: Journal) {
  return async (request: Step, context: HandlerContext): Promise<StepInit> => {
    const { key } = request;
    switch (request.act) {
      case "fail":
        throw failure(request);
      case "fail alike":
        throw oneForAll;
      case "throw":
        throw new Error(secret);
      case "throw text":
        throw secret; // on purpose no Error
      case "bad answer":
        return { code: 2 ** 40 };
      case "large":
        return { data: new Uint8Array(request.code) };
      case "facts":
        return { facts: factsOf(context) };
      case "wait":
        return untilAborted(journal, key, context.signal);
      case "stubborn":
        journal.note(`${key} started`);
        return new Promise<never>(() => {});
      case "gate":
        journal.note(`${key} started`);
        await journal.opened(key);
        return request;
      case "change the request":
        request.text = "changed by the handler";
        request.data.fill(9);
        return { text: "done" };
      case "change the answer":
        return changedLater(journal, key);
      default:
        return { text: "no such act" };
    }
  };
}

/** Ends with the reason of the signal, and notes its code. */
function untilAborted(journal: Journal, key: string, signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const onAbort = () => {
      const error = ConnectError.from(signal.reason);
      journal.note(`${key} aborted`, { code: error.code, text: error.rawMessage });
      reject(signal.reason);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    journal.note(`${key} started`);
  });
}

/** Notes with which code the signal of a call aborts. */
function noteEnd(journal: Journal, key: string, signal: AbortSignal): void {
  if (key === "") return;
  const onAbort = () => journal.note(`${key} cut`, { code: ConnectError.from(signal.reason).code });
  signal.addEventListener("abort", onAbort, { once: true });
}

function changedLater(journal: Journal, key: string): Step {
  const answer = create(StepSchema, { text: "as it was sent", data: new Uint8Array(3), facts: { a: "1" } });
  void journal.opened(key).then(() => {
    answer.text = "changed by the handler";
    answer.data.fill(9);
    answer.facts.a = "2";
    journal.note(`${key} changed`);
  });
  return answer;
}

async function* produce(journal: Journal, request: Step) {
  for (let count = 1; count <= request.count; count++) {
    journal.note(`${request.key} produced`);
    yield { data: request.data, count };
  }
}

function failure({ text, code, facts }: Step): ConnectError {
  const metadata = new Headers();
  each(facts, "metadata:", (name, value) => metadata.append(name, value));
  const details = [
    { desc: StepSchema, value: { text: "first detail", count: 7, data: Uint8Array.of(1, 0, 255) } },
    { desc: StepSchema, value: { text: "second detail" } },
  ];
  return new ConnectError(text, code as Code, metadata, details, new Error(secret));
}

function setHeaders({ facts }: Step, context: HandlerContext): void {
  each(facts, "header:", (name, value) => context.responseHeader.append(name, value));
  each(facts, "trailer:", (name, value) => context.responseTrailer.append(name, value));
}

/** A fact "header:x-a" = "1|2" is the header x-a with two values. */
function each(facts: Step["facts"], prefix: string, add: (name: string, value: string) => void): void {
  for (const [fact, values] of Object.entries(facts)) {
    if (!fact.startsWith(prefix)) continue;
    for (const value of values.split("|")) add(fact.slice(prefix.length), value);
  }
}

function factsOf(context: HandlerContext): Record<string, string> {
  const facts: Record<string, string> = {
    method: context.method.name,
    service: context.service.typeName,
    protocol: context.protocolName,
    verb: context.requestMethod,
    timeoutMs: `${context.timeoutMs() ?? "none"}`,
    network: context.values.get(peerKey)?.network ?? "none",
    caller: context.values.get(callerIdKey) ?? "none",
    layer: context.values.get(layerKey),
    aborted: `${context.signal.aborted}`,
  };
  for (const [name, value] of context.requestHeader) facts[`header:${name}`] = value;
  return facts;
}

/** So that a test can see in the end that no handler is left. */
async function tracked<T>(journal: Journal, work: () => Promise<T>): Promise<T> {
  journal.note("begun");
  try {
    return await work();
  } finally {
    journal.note("ended");
  }
}

async function* trackedStream<T>(journal: Journal, key: string, work: () => AsyncGenerator<T>): AsyncGenerator<T> {
  journal.note("begun");
  try {
    yield* work();
  } finally {
    journal.note("ended");
    journal.note(key === "" ? "" : `${key} ended`);
  }
}
