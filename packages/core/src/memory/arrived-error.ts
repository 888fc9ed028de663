import { Code, ConnectError } from "@connectrpc/connect";
import { mergeNonProtocolHeaders } from "@connectrpc/connect/protocol";
import { errorFromJson, errorToJson } from "@connectrpc/connect/protocol-connect";
import type { CallContext } from "./call-context.ts";

/**
 * What a handler threw, as its caller gets it: code, message and details of a ConnectError, its metadata among headers and
 * trailers; of anything else only "internal error". The cause stays on the server.
 */
export function arrivedError(thrown: unknown, context: CallContext | undefined): ConnectError {
  const error =
    thrown instanceof ConnectError
      ? thrown
      : new ConnectError("internal error", Code.Internal, undefined, undefined, thrown);
  const metadata = new Headers(context?.touchedHeader);
  // The metadata of an error that itself came over a wire belongs to that call.
  if (!error.isWireError) mergeNonProtocolHeaders(metadata, error.metadata);
  context?.touchedTrailer?.forEach((value, name) => {
    metadata.append(name, value);
  });
  try {
    // errorFromJson adds the metadata to its fallback: to the handler's own error, which it may throw again.
    const fallback = new ConnectError(error.rawMessage, error.code);
    return errorFromJson(errorToJson(error, undefined), metadata, fallback);
  } catch (reason) {
    const text = reason instanceof Error ? reason.message : String(reason);
    return new ConnectError(`failed to serialize Connect Error: ${text}`, Code.Internal);
  }
}
