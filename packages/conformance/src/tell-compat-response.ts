import { create, toBinary } from "@bufbuild/protobuf";
import {
  type ServerCompatRequest,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { sizeDelimited } from "./size-delimited.ts";

/** Tells the runner where to call, and ends this process after `close` when the runner asks it to (SIGTERM). */
export function tellCompatResponse(
  { useTls, serverCreds }: ServerCompatRequest,
  server: { readonly port: number; close(): Promise<void> },
): void {
  process.once("SIGTERM", () => {
    void server.close().then(() => process.exit(0));
  });
  const { cert } = serverCreds ?? {};
  const response = create(ServerCompatResponseSchema, {
    host: "127.0.0.1",
    port: server.port,
    ...(useTls && cert ? { pemCert: cert } : {}),
  });
  process.stdout.write(sizeDelimited(toBinary(ServerCompatResponseSchema, response)));
}
