import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { type CallOptions, type Client, Code, ConnectError, makeAnyClient } from "@connectrpc/connect";
import type { Clock } from "@cpg/resilience";
import { ConnectionError } from "../wire/call-error.ts";

/** Where the calls of a supervised client go. */
export interface PresentClient<Service extends DescService> {
  /** The client of the process that runs. */
  now(): Client<Service> | undefined;
  /** The client of the process that runs or comes. @throws {ConnectError} when the call is not to wait, or waited too long. */
  next(call: {
    waitMs: number;
    timeoutMs: number | undefined;
    signal: AbortSignal | undefined;
  }): Promise<Client<Service>>;
  /** The error that the caller gets for one of this client. */
  explain(reason: unknown, client: Client<Service>, signal: AbortSignal | undefined): unknown;
  /** The longest that a call waits, in ms; undefined: calls do not wait. */
  readonly maxWaitMs: number | undefined;
  readonly clock: Clock;
}

type Call<Response> = (request: unknown, options?: CallOptions) => Response;
type Stream = AsyncIterable<unknown>;

/**
 * A client whose calls go to whichever process of a plugin is there, each to the one that is there when it begins. Its
 * streams end with their process.
 */
export function createSupervisedClient<Service extends DescService>(
  service: Service,
  present: PresentClient<Service>,
): Client<Service> {
  return makeAnyClient(service, (method) =>
    method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming"
      ? streamCall(method, present)
      : unaryCall(method, present),
  ) as Client<Service>;
}

function unaryCall<Service extends DescService>(
  method: DescMethod,
  present: PresentClient<Service>,
): Call<Promise<unknown>> {
  const { clock, maxWaitMs } = present;
  const repeatable = method.methodKind === "unary" && maxWaitMs !== undefined;
  return async (request, options) => {
    const left = createBudget(clock, options?.timeoutMs);
    let client = present.now();
    for (;;) {
      const waited = client === undefined;
      client ??= await present.next({ ...left(maxWaitMs), signal: options?.signal });
      try {
        const call = methodOf<Promise<unknown>>(client, method);
        return await call(request, waited ? { ...options, ...timeoutOf(left()) } : options);
      } catch (reason) {
        // Explaining an end takes until it is known, so a process that is gone is not the present one any more.
        if (!repeatable || !reachedNobody(reason) || present.now() === client) {
          throw present.explain(reason, client, options?.signal);
        }
        client = undefined;
      }
    }
  };
}

function streamCall<Service extends DescService>(method: DescMethod, present: PresentClient<Service>): Call<Stream> {
  const { clock, maxWaitMs } = present;
  return (request, options) => {
    const reader = new AbortController();
    const open = async (): Promise<{ client: Client<Service>; messages: AsyncIterator<unknown> }> => {
      const left = createBudget(clock, options?.timeoutMs);
      let client = present.now();
      let callOptions = options;
      if (client === undefined) {
        const signal = options?.signal ? AbortSignal.any([options.signal, reader.signal]) : reader.signal;
        client = await present.next({ ...left(maxWaitMs), signal });
        callOptions = { ...options, ...timeoutOf(left()) };
      }
      const messages = methodOf<Stream>(client, method)(request, callOptions)[Symbol.asyncIterator]();
      return { client, messages };
    };
    const opening = open();
    opening.catch(() => {}); // whoever reads gets it
    const end = async (): Promise<IteratorResult<unknown>> => {
      reader.abort(readerLeft);
      const opened = await opening.catch(() => undefined);
      await opened?.messages.return?.();
      return { done: true, value: undefined };
    };
    const iterator: AsyncIterableIterator<unknown> = {
      [Symbol.asyncIterator]: () => iterator,
      async next() {
        const { client, messages } = await opening;
        try {
          return await messages.next();
        } catch (reason) {
          throw present.explain(reason, client, options?.signal);
        }
      },
      return: end,
      throw: async (reason) => {
        await end();
        throw reason;
      },
    };
    return iterator;
  };
}

const readerLeft = new ConnectError("the reader left the stream", Code.Canceled);

/** What is left of a call's own time-out, and of the time it may wait. */
function createBudget(clock: Clock, timeoutMs: number | undefined) {
  const startedMs = clock.monotonic();
  return (maxWaitMs = 0) => {
    const spentMs = clock.monotonic() - startedMs;
    return {
      waitMs: Math.max(0, maxWaitMs - spentMs),
      timeoutMs: timeoutMs === undefined ? undefined : Math.max(0, timeoutMs - spentMs),
    };
  };
}

function timeoutOf({ timeoutMs }: { timeoutMs: number | undefined }): { timeoutMs?: number } {
  return timeoutMs === undefined ? {} : { timeoutMs };
}

function methodOf<Response>(client: object, { localName }: DescMethod): Call<Response> {
  return (client as Record<string, Call<Response>>)[localName] as Call<Response>;
}

/** Whether a call ended before there was a connection to send it on. */
function reachedNobody(reason: unknown): boolean {
  const seen = new Set<unknown>();
  for (let error = reason; error instanceof Error && !seen.has(error); error = error.cause) {
    if (error instanceof ConnectionError) return error.stage === "connect";
    seen.add(error);
  }
  return false;
}
