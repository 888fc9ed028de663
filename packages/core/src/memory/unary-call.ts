import type { DescMethodUnary, Message } from "@bufbuild/protobuf";
import { ConnectError, type UnaryResponse } from "@connectrpc/connect";
import { answerUnary } from "./answer-unary.ts";
import { arrivedError } from "./arrived-error.ts";
import { Call, type CallRequest } from "./call.ts";
import { CallContext } from "./call-context.ts";
import { callSucceeded } from "./call-ends.ts";
import { ReceiveLimitError } from "./crossing.ts";
import type { MethodEntry } from "./method-entry.ts";
import type { OpenCalls } from "./open-calls.ts";
import { LazyUnaryResponse, SpreadableUnaryResponse } from "./unary-response.ts";

export interface UnaryCallRequest extends CallRequest {
  readonly method: DescMethodUnary;
  readonly message: unknown;
}

/** @throws {ConnectError} at once, for a message that cannot be sent. */
export function callUnary(entry: MethodEntry, request: UnaryCallRequest, calls: OpenCalls): Promise<UnaryResponse> {
  let message: Message;
  try {
    message = entry.request(request.message);
  } catch (reason) {
    if (!(ConnectError.from(reason).cause instanceof ReceiveLimitError)) throw reason;
    throw arrivedError(reason, undefined); // the refusal of the server arrives from there
  }
  return new UnaryCall(entry, request, message, calls).response;
}

const now = Promise.resolve();

/**
 * A unary call, its run and the promise of its response in one. It makes as few promises as it can: one for the caller,
 * one to be out of the caller's stack, and one for an asynchronous handler.
 */
class UnaryCall extends Call {
  declare readonly request: UnaryCallRequest;
  declare readonly response: Promise<UnaryResponse>;
  declare private readonly message: Message;
  declare private context: CallContext | undefined;
  declare private resolve: (response: UnaryResponse) => void;
  declare private reject: (reason: ConnectError) => void;

  constructor(entry: MethodEntry, request: UnaryCallRequest, message: Message, calls: OpenCalls) {
    super(calls, entry, request);
    this.message = message;
    this.context = undefined;
    this.response = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Always later: a handler must not run inside the stack of its caller.
    void now.then(() => this.run());
  }

  protected override onCut(error: ConnectError): void {
    this.reject(error);
  }

  /** Never throws. */
  private run(): void {
    this.calls.deadlines.watch();
    if (this.settled) {
      this.handlerEnded(); // the caller has gone, so it does not begin
      return;
    }
    const { served } = this.entry;
    const context = new CallContext(this.entry, this, this.calls);
    this.context = context;
    try {
      if (served.requestGate !== undefined || served.interceptors.length > 0) {
        answerUnary(this.entry, this.request.method, context, this.message).then(
          (response) => this.succeed(response),
          (reason: unknown) => this.fail(reason),
        );
        return;
      }
      const output = served.handler(this.message, context);
      if (isThenable(output)) {
        Promise.resolve(output).then(
          (made) => this.answer(made),
          (reason: unknown) => this.fail(reason),
        );
      } else {
        this.answer(output);
      }
    } catch (reason) {
      this.fail(reason);
    }
  }

  private answer(output: unknown): void {
    let message: Message;
    try {
      message = this.entry.response(output);
    } catch (reason) {
      this.fail(reason);
      return;
    }
    const Response = this.entry.intercepted ? SpreadableUnaryResponse : LazyUnaryResponse;
    this.succeed(new Response(this.request.method, message, this.context));
  }

  private succeed(response: UnaryResponse): void {
    this.handlerEnded();
    if (this.settle(callSucceeded)) this.resolve(response);
  }

  private fail(reason: unknown): void {
    this.handlerEnded();
    if (this.settle(reason)) this.reject(arrivedError(reason, this.context));
  }
}

function isThenable(output: unknown): output is PromiseLike<unknown> {
  if (output instanceof Promise) return true;
  return typeof output === "object" && output !== null && "then" in output && typeof output.then === "function";
}
