import { create, createRegistry, type DescMessage, type MessageShape, type Registry } from "@bufbuild/protobuf";
import { type Any, AnySchema, anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError } from "@connectrpc/connect";
import type { Code as SuiteCode } from "./gen/connectrpc/conformance/v1/config_pb.ts";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  ConformancePayload_RequestInfoSchema,
  ErrorSchema,
  type Header,
  HeaderSchema,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type Error as SuiteError,
  UnaryRequestSchema,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";

/** What stands in the Any fields of the suite's messages. */
export const suiteRegistry: Registry = createRegistry(
  UnaryRequestSchema,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  ClientStreamRequestSchema,
  BidiStreamRequestSchema,
  ConformancePayload_RequestInfoSchema,
);

export function toSuiteHeaders(headers: Headers): Header[] {
  return [...headers].map(([name, value]) => create(HeaderSchema, { name, value: [value] }));
}

export function appendSuiteHeaders(target: Headers, headers: readonly Header[]): Headers {
  for (const { name, value } of headers) for (const one of value) target.append(name, one);
  return target;
}

/** Codes have the same numbers on both sides. */
export function toSuiteError(error: ConnectError): SuiteError {
  const details = error.details.map((detail): Any => {
    if ("desc" in detail) return anyPack(detail.desc, create(detail.desc, detail.value));
    return create(AnySchema, { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value });
  });
  return create(ErrorSchema, { code: error.code as number as SuiteCode, message: error.rawMessage, details });
}

export function fromSuiteError(error: SuiteError): ConnectError {
  const details = error.details.map((any) => {
    const value = unpack(any, ConformancePayload_RequestInfoSchema);
    return { desc: ConformancePayload_RequestInfoSchema, value };
  });
  return new ConnectError(error.message ?? "", error.code as number as Code, undefined, details);
}

export function unpack<Desc extends DescMessage>(any: Any, desc: Desc): MessageShape<Desc> {
  const message = anyUnpack(any, desc);
  if (message === undefined) throw new Error(`expected a ${desc.typeName}, got ${any.typeUrl}`);
  return message;
}
