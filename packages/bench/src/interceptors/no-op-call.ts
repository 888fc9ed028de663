import { create } from "@bufbuild/protobuf";
import { createContextValues, type Interceptor, type UnaryRequest, type UnaryResponse } from "@connectrpc/connect";
import { EchoService } from "../gen/bench/v1/echo_pb.ts";
import { smallItem } from "../launch/item.ts";

export type Next = Parameters<Interceptor>[0];

export type Request = Parameters<Next>[0];

const method = EchoService.method.echo;

/** A unary call as interceptors see it. */
export const request: UnaryRequest = {
  stream: false,
  service: EchoService,
  method,
  requestMethod: "POST",
  url: `http://localhost/${EchoService.typeName}/${method.name}`,
  signal: new AbortController().signal,
  header: new Headers({ "Content-Type": "application/proto", "Connect-Protocol-Version": "1" }),
  contextValues: createContextValues(),
  message: smallItem,
};

export const response: UnaryResponse = {
  stream: false,
  service: EchoService,
  method,
  header: new Headers(),
  trailer: new Headers(),
  message: create(method.output),
};

/** What interceptors wrap: a call that does nothing. */
export const noOpCall: Next = async () => response;

/** Around each call anew, the first outermost: as Connect does it. */
export function applyInterceptors(next: Next, interceptors: readonly Interceptor[]): Next {
  let applied = next;
  for (const interceptor of interceptors.concat().reverse()) applied = interceptor(applied);
  return applied;
}
