import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { requestHeader } from "@connectrpc/connect/protocol-connect";
import { type Peer, peerKey } from "@cpg/resilience";
import type { Deadlines, Timed } from "./deadlines.ts";
import type { MethodEntry } from "./method-entry.ts";

/** What every call of a server has in common. */
export interface CallSurroundings {
  readonly deadlines: Deadlines;
  /** Sets context values of one call, beside the peer. It may change the headers: nobody has seen them before. */
  readonly contextValues: ((values: ContextValues, requestHeader: Headers) => void) | undefined;
}

const memoryPeer: Peer = Object.freeze({ network: "memory", address: undefined, port: undefined, tls: undefined });
const noDeadline = () => undefined;
const contentType = { unary: "application/proto", stream: "application/connect+proto" };

/** What a context needs to know of its call. */
export interface ContextCall {
  readonly method: DescMethod;
  /** A copy of what the caller has set, if it has. */
  readonly callerHeader: Headers | undefined;
  /** What the deadline of the call belongs to. */
  readonly timed: Timed;
  /** Aborts when the call ends. */
  readonly handlerSignal: AbortSignal;
}

/** Each comes to be when it is touched. */
interface Parts {
  requestHeader: Headers | undefined;
  responseHeader: Headers | undefined;
  responseTrailer: Headers | undefined;
  values: ContextValues | undefined;
}

/**
 * The context of a handler, whose parts come to be when they are touched: most handlers touch none, and each costs as much
 * as the rest of a call. A class for its accessors: those of a literal are made anew for each object, at ten times the
 * price of a call. They are not own properties: a copy by spread lacks them.
 */
export class CallContext implements HandlerContext {
  declare readonly method: DescMethod;
  declare readonly url: string;
  declare readonly requestMethod: string;
  declare readonly protocolName: string;
  declare readonly timeoutMs: () => number | undefined;
  readonly #call: ContextCall;
  readonly #surroundings: CallSurroundings;
  #parts: Parts | undefined;

  constructor({ served, url }: MethodEntry, call: ContextCall, surroundings: CallSurroundings) {
    const { timed } = call;
    this.method = served.method;
    this.url = url;
    this.requestMethod = "POST";
    this.protocolName = "connect";
    // Whole ms, as over a wire; handlers make a BigInt of them.
    this.timeoutMs =
      timed.timeoutMs === undefined ? noDeadline : () => Math.round(surroundings.deadlines.leftMs(timed) ?? 0);
    this.#call = call;
    this.#surroundings = surroundings;
  }

  get service(): DescService {
    return this.method.parent;
  }

  get signal(): AbortSignal {
    return this.#call.handlerSignal;
  }

  get requestHeader(): Headers {
    const parts = this.#touch();
    if (parts.requestHeader === undefined) {
      const { callerHeader, timed } = this.#call;
      parts.requestHeader = requestHeader(this.method.methodKind, true, timed.timeoutMs, callerHeader, true);
      if (parts.values === undefined && this.#surroundings.contextValues) this.#readValues(parts);
    }
    return parts.requestHeader;
  }

  get responseHeader(): Headers {
    const parts = this.#touch();
    parts.responseHeader ??= new Headers({
      "content-type": this.method.methodKind === "unary" ? contentType.unary : contentType.stream,
    });
    return parts.responseHeader;
  }

  get responseTrailer(): Headers {
    const parts = this.#touch();
    parts.responseTrailer ??= new Headers();
    return parts.responseTrailer;
  }

  get values(): ContextValues {
    const parts = this.#touch();
    return parts.values ?? this.#readValues(parts);
  }

  /** Whether anything has come to be. */
  get touched(): boolean {
    return this.#parts !== undefined;
  }

  /** The headers if somebody touched them. */
  get touchedHeader(): Headers | undefined {
    return this.#parts?.responseHeader;
  }

  get touchedTrailer(): Headers | undefined {
    return this.#parts?.responseTrailer;
  }

  #touch(): Parts {
    this.#parts ??= {
      requestHeader: undefined,
      responseHeader: undefined,
      responseTrailer: undefined,
      values: undefined,
    };
    return this.#parts;
  }

  #readValues(parts: Parts): ContextValues {
    const values = createContextValues().set(peerKey, memoryPeer);
    parts.values = values;
    this.#surroundings.contextValues?.(values, this.requestHeader);
    return values;
  }
}
