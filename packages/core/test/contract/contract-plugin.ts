import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor, type ServiceImpl } from "@connectrpc/connect";
import { definePlugin } from "@cpg/core";
import { type Dialect, everyField } from "../support/every-field.ts";
import { createContract, createWitness, layerKey } from "./contract-handlers.ts";
import { ContractService, LayeredService, type StepInit, WitnessService } from "./contract-messages.ts";
import { createJournal, type Journal } from "./journal.ts";

const dialects: readonly Dialect[] = ["proto2", "proto3", "editions"];

/** Messages with fields of every kind, in each dialect of protobuf. */
export const everyServices = Object.fromEntries(
  dialects.map((dialect) => [dialect, everyField(dialect)]),
) as unknown as Record<Dialect, ReturnType<typeof everyField>>;

const every = (name: Dialect) => definePlugin({ name, version: "1.0.0", service: everyServices[name].service });

export const contractPlugins = {
  contract: definePlugin({ name: "contract", version: "1.2.3", service: ContractService }),
  layered: definePlugin({ name: "layered", version: "1.0.0", service: LayeredService }),
  witness: definePlugin({ name: "witness", version: "1.0.0", service: WitnessService }),
  proto2: every("proto2"),
  proto3: every("proto3"),
  editions: every("editions"),
} as const;
export type ContractPlugins = typeof contractPlugins;

/** Bytes of a message that the plugin takes or gives. */
export const serverMessageBytes = 256 * 1024;
/** Bytes of a message that a client with limits of its own takes or gives. */
export const clientMessageBytes = 128 * 1024;

/** What a server of this plugin is made of, in this process or any other. */
export function createContractServer(journal: Journal = createJournal()) {
  const contract = createContract(journal);
  return {
    plugins: contractPlugins,
    impls: {
      contract,
      layered: contract satisfies ServiceImpl<typeof LayeredService>,
      witness: createWitness(journal),
      proto2: echoOf(),
      proto3: echoOf(),
      editions: echoOf(),
    },
    pluginInterceptors: { layered: [layer(journal, "outer"), layer(journal, "inner"), guard] },
    selfId: "contract",
    selfVersion: "7.7.7",
    maxMessageBytes: serverMessageBytes,
  };
}

/** Answers every message with itself, on all four kinds of RPC. */
function echoOf(): ServiceImpl<DescService> {
  const echo = {
    unary: (request: StepInit) => request,
    async *serverStream(request: StepInit) {
      yield request;
    },
    async clientStream(requests: AsyncIterable<StepInit>) {
      let last: StepInit = {};
      for await (const request of requests) last = request;
      return last;
    },
    async *bidiStream(requests: AsyncIterable<StepInit>) {
      yield* requests;
    },
  };
  return echo as unknown as ServiceImpl<DescService>;
}

/** Notes when it sees a call and its end, and leaves marks on both. */
function layer(journal: Journal, name: string): Interceptor {
  return (next) => async (request) => {
    const key = request.header.get("x-log-key") ?? "";
    const log = (event: string) => journal.note(key, { text: `server ${name} ${event}` });
    log("sees the request");
    request.header.append("x-layers", name);
    request.contextValues.set(layerKey, name);
    const response = await next(request);
    response.header.append("x-layers", name);
    response.trailer.append("x-layers-end", name);
    log("sees the response");
    return response.stream ? { ...response, message: watched(response.message, () => log("sees the end")) } : response;
  };
}

async function* watched<T>(messages: AsyncIterable<T>, onEnd: () => void): AsyncGenerator<T, void, void> {
  yield* messages;
  onEnd();
}

/** Refuses calls before the handler sees them. */
const guard: Interceptor = (next) => (request) => {
  if (request.header.has("x-refuse")) throw new ConnectError("refused by an interceptor", Code.PermissionDenied);
  return next(request);
};
