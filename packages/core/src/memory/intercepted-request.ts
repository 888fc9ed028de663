import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues } from "@connectrpc/connect";
import type { InterceptedCall } from "./intercepted-call.ts";
import { ownAccessor } from "./own-accessor.ts";

/** What interceptors get. Knows its call, unlike the copies that they make of it. */
export class InterceptedRequest<Stream extends boolean, Content> {
  declare readonly requestMethod: string;
  declare readonly service: DescService;
  declare readonly method: DescMethod;
  declare readonly url: string;
  declare readonly contextValues: ContextValues;
  declare readonly stream: Stream;
  declare readonly message: Content;
  readonly #call: InterceptedCall;

  constructor(
    call: InterceptedCall,
    url: string,
    { stream, message, contextValues }: { stream: Stream; message: Content; contextValues: ContextValues | undefined },
  ) {
    Object.defineProperty(this, "header", ownHeader);
    Object.defineProperty(this, "signal", ownSignal);
    this.requestMethod = "POST";
    this.service = call.method.parent;
    this.method = call.method;
    this.url = url;
    this.contextValues = contextValues ?? createContextValues();
    this.stream = stream;
    this.message = message;
    this.#call = call;
  }

  get header(): Headers {
    return this.#call.header;
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  /** The call, if an interceptor has passed on the request itself; undefined for a copy. */
  static callOf(request: object): InterceptedCall | undefined {
    return #call in request ? request.#call : undefined;
  }
}

const ownHeader = ownAccessor(InterceptedRequest.prototype, "header");
const ownSignal = ownAccessor(InterceptedRequest.prototype, "signal");
