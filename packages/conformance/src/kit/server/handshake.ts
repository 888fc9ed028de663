import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import {
  type HandshakeRequestSchema,
  type HandshakeResponseSchema,
  HandshakeService,
} from "@cpg/core/gen/connectplugin/v1/handshake_pb";
import type { RpcAnswer } from "../wire/rpc-answer.ts";
import { type CallOptions, callUnary } from "../wire/rpc-client.ts";
import { appVersion, cookie, coreVersion } from "./protocol-facts.ts";
import type { ServerUnderTest } from "./server-under-test.ts";

export type HandshakeFields = MessageInitShape<typeof HandshakeRequestSchema>;
export type HandshakeAnswer = RpcAnswer<MessageShape<typeof HandshakeResponseSchema>>;

const waitMs = 500;

/** A handshake that is right but for `fields`. One that a server puts off (`resource_exhausted`) is made again. */
export async function shakeHands(
  server: ServerUnderTest,
  fields: HandshakeFields = {},
  options: CallOptions = {},
): Promise<HandshakeAnswer> {
  const request = {
    coreProtocolVersion: coreVersion,
    appProtocolVersion: appVersion,
    magicCookieKey: cookie.key,
    magicCookieValue: cookie.value,
    ...fields,
  };
  while (true) {
    const answer = await callUnary(server, HandshakeService.method.handshake, request, options);
    if (answer.kind !== "error" || answer.error.code !== "resource_exhausted") return answer;
    await server.clock.sleep(waitMs, server.signal);
  }
}
