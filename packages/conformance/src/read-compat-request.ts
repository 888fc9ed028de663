import { fromBinary } from "@bufbuild/protobuf";
import {
  type ServerCompatRequest,
  ServerCompatRequestSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { readSizeDelimited } from "./size-delimited.ts";

/** What the runner writes to stdin first: how to serve. Leaves stdin open. */
export async function readCompatRequest(): Promise<ServerCompatRequest> {
  // Not a loop that is left: that would close stdin.
  const { value: bytes } = await readSizeDelimited(process.stdin).next();
  if (bytes === undefined) throw new Error("the input ended before it told how to serve");
  return fromBinary(ServerCompatRequestSchema, bytes);
}
