import type { DescMethod } from "@bufbuild/protobuf";
import type { HandlerContext, Interceptor } from "@connectrpc/connect";
import { createMethodUrl } from "@connectrpc/connect/protocol";
import { type Crossing, createCrossing } from "./crossing.ts";

/** One method that a server offers. */
export interface ServedMethod {
  readonly method: DescMethod;
  /** The handler, bound to its implementation. Its kind is that of the method. */
  readonly handler: (request: unknown, context: HandlerContext) => unknown;
  /** The first is outermost. */
  readonly interceptors: readonly Interceptor[];
  /** Runs before anything of the request is read; what it throws, the caller gets. */
  readonly requestGate: ((context: HandlerContext) => unknown) | undefined;
}

/** One method as one transport calls it, prepared at its first call. */
export interface MethodEntry {
  readonly served: ServedMethod;
  readonly url: string;
  /** Whether interceptors of the client see its responses. */
  readonly intercepted: boolean;
  readonly request: Crossing;
  readonly response: Crossing;
}

export interface MethodEntryOptions {
  readonly intercepted: boolean;
  readonly byReference: boolean;
  /** Of the caller, in both directions. */
  readonly clientBytes: number;
  readonly maxRequestBytes: number;
  readonly maxResponseBytes: number;
}

export function createMethodEntry(method: DescMethod, served: ServedMethod, options: MethodEntryOptions): MethodEntry {
  const { byReference, intercepted, clientBytes, maxRequestBytes, maxResponseBytes } = options;
  const { input, output } = served.method;
  return {
    served,
    url: createMethodUrl("http://localhost", method),
    intercepted,
    request: createCrossing({
      from: method.input,
      to: input,
      byReference,
      maxSendBytes: clientBytes,
      maxReceiveBytes: maxRequestBytes,
    }),
    response: createCrossing({
      from: output,
      to: method.output,
      byReference,
      maxSendBytes: maxResponseBytes,
      maxReceiveBytes: clientBytes,
    }),
  };
}
