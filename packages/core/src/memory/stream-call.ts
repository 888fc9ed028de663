import type { DescMethodStreaming, Message } from "@bufbuild/protobuf";
import { ConnectError, type StreamResponse } from "@connectrpc/connect";
import { arrivedError } from "./arrived-error.ts";
import { Call, type CallRequest } from "./call.ts";
import { CallContext } from "./call-context.ts";
import { callerLeft, callSucceeded } from "./call-ends.ts";
import { ReceiveLimitError } from "./crossing.ts";
import { createHandOver } from "./hand-over.ts";
import type { MethodEntry } from "./method-entry.ts";
import type { OpenCalls } from "./open-calls.ts";
import { createRequestSource, leaveIterator } from "./request-source.ts";
import { answerStream, type StreamAnswer } from "./stream-answer.ts";

export interface StreamCallRequest extends CallRequest {
  readonly method: DescMethodStreaming;
  readonly messages: AsyncIterable<unknown>;
}

/**
 * Resolves when the handler has sent its first message or ended, as headers travel with that. From then on the handler
 * goes on when the caller reads: each message passes from one to the other, in both directions, and none waits anywhere.
 */
export function callStream(entry: MethodEntry, request: StreamCallRequest, calls: OpenCalls): Promise<StreamResponse> {
  const { method } = request;
  const { served } = entry;
  const trailer = new Headers();
  const source = createRequestSource(request.messages);
  let output: AsyncIterator<unknown> | undefined;
  let answered: StreamAnswer | undefined;
  let first: Outcome | undefined;
  let begun = false;
  const started = Promise.withResolvers<StreamResponse>();

  const requests = createHandOver<Message>({
    pull: () => void readSource(),
    onLeave: () => source.close(),
  });
  const readSource = async (): Promise<void> => {
    try {
      const result = await source.next();
      requests.put(result.done ? end : { done: false, value: entry.request(result.value) });
    } catch (reason) {
      const error = ConnectError.from(reason);
      if (error.cause instanceof ReceiveLimitError) {
        requests.refuse(error); // the handler's affair
      } else {
        call.cut(error, callerLeft);
        requests.refuse(callerLeft);
      }
    }
  };

  const leaveOutput = (): void => {
    const left = output;
    output = undefined;
    if (left === undefined) return; // it will come to be, and be left then
    void leaveIterator(left).then(() => call.handlerEnded());
  };
  const deliver = (outcome: Outcome): void => {
    if (!begun) {
      begun = true;
      first = outcome;
      start();
    } else if ("result" in outcome) {
      responses.put(outcome.result);
    } else {
      responses.refuse(outcome.error);
    }
  };
  const failed = (reason: unknown): void => {
    call.handlerEnded();
    const error = arrivedError(reason, context);
    if (call.settle(reason)) source.close();
    deliver({ error });
  };
  const arrived = (result: IteratorResult<unknown>): void => {
    if (result.done) {
      call.handlerEnded();
      (answered?.trailer ?? context.touchedTrailer)?.forEach((value, name) => {
        trailer.set(name, value);
      });
      if (call.settle(callSucceeded)) source.close();
      deliver({ result: end });
      return;
    }
    let value: Message;
    try {
      value = entry.response(result.value);
    } catch (reason) {
      leaveOutput();
      failed(reason);
      return;
    }
    if (begun) responses.put({ done: false, value });
    else deliver({ result: { done: false, value } });
  };
  const readOutput = (): void => {
    if (output === undefined) {
      deliver({ result: end });
      return;
    }
    try {
      output.next().then(arrived, failed);
    } catch (reason) {
      failed(reason);
    }
  };

  const responses = createHandOver<Message>({
    pull() {
      const held = first;
      first = undefined;
      if (held === undefined) readOutput();
      else deliver(held);
    },
    onLeave: () => call.cut(callerLeft, callerLeft),
  });

  const call: StreamCall = new StreamCall(calls, entry, request, (error, reason) => {
    requests.fail(reason);
    source.close(error);
    responses.fail(error);
    started.reject(error);
    leaveOutput();
  });
  const context = new CallContext(entry, call, calls);

  const begin = async (): Promise<void> => {
    try {
      await undefined; // see unary-call.ts
      calls.deadlines.watch();
      if (call.settled) throw callerLeft;
      if (served.requestGate !== undefined) await served.requestGate(context);
      answered = await answerStream(served, context, requests);
      output = answered.messages[Symbol.asyncIterator]();
    } catch (reason) {
      failed(reason);
      return;
    }
    if (call.settled) leaveOutput();
    readOutput();
  };
  const start = (): void =>
    started.resolve({
      stream: true,
      service: method.parent,
      method,
      header: new Headers(answered?.header ?? context.responseHeader),
      trailer,
      message: responses,
    });
  void begin();
  return started.promise;
}

type Outcome = { readonly result: IteratorResult<Message> } | { readonly error: ConnectError };

class StreamCall extends Call {
  readonly #onCut: (error: ConnectError, reason: ConnectError) => void;

  constructor(
    calls: OpenCalls,
    entry: MethodEntry,
    request: CallRequest,
    onCut: (error: ConnectError, reason: ConnectError) => void,
  ) {
    super(calls, entry, request);
    this.#onCut = onCut;
  }

  protected override onCut(error: ConnectError, reason: ConnectError): void {
    this.#onCut(error, reason);
  }
}

const end: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });
