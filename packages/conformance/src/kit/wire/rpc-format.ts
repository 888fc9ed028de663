import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  fromJsonString,
  type MessageInitShape,
  type MessageShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import type { HttpVersion } from "./http-client.ts";

export type RpcProtocol = "connect" | "grpc" | "grpc-web";
export type Codec = "proto" | "json";

/** How a call is written. */
export interface RpcFormat {
  readonly protocol: RpcProtocol;
  readonly codec: Codec;
  readonly http: HttpVersion;
}

/** The plainest that every peer reads. */
export const plainFormat: RpcFormat = { protocol: "connect", codec: "json", http: "1.1" };

export function formatName({ protocol, codec, http }: RpcFormat): string {
  return `${protocol} with ${codec} over HTTP/${http}`;
}

export function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

export function contentTypeOf({ protocol, codec }: RpcFormat, streaming: boolean): string {
  if (protocol === "connect") return streaming ? `application/connect+${codec}` : `application/${codec}`;
  return `application/${protocol}+${codec}`;
}

export function encodeMessage<Desc extends DescMessage>(
  codec: Codec,
  schema: Desc,
  init: MessageInitShape<Desc>,
): Uint8Array {
  const message = create(schema, init);
  return codec === "proto" ? toBinary(schema, message) : Buffer.from(toJsonString(schema, message));
}

/** Fields that are not known are ignored, as everywhere. @throws {Error} for what is no such message. */
export function decodeMessage<Desc extends DescMessage>(
  codec: Codec,
  schema: Desc,
  bytes: Uint8Array,
): MessageShape<Desc> {
  if (codec === "proto") return fromBinary(schema, bytes);
  return fromJsonString(schema, Buffer.from(bytes).toString("utf8"), { ignoreUnknownFields: true });
}
