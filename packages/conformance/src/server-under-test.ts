// A server as the runner wants it: reads from stdin how to serve, serves, tells where on stdout, ends on SIGTERM.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { openServerUnderTest } from "./open-server.ts";
import { openPlainServer } from "./plain-server.ts";
import { readSizeDelimited, sizeDelimited } from "./size-delimited.ts";

// Not a loop that is left: that would close stdin.
const { value: bytes } = await readSizeDelimited(process.stdin).next();
if (bytes === undefined) throw new Error("the input ended before it told how to serve");
const request = fromBinary(ServerCompatRequestSchema, bytes);
const open = process.argv.includes("--plain") ? openPlainServer : openServerUnderTest;
const server = await open(request);
process.once("SIGTERM", () => {
  void server.close().then(() => process.exit(0));
});
const { cert } = request.serverCreds ?? {};
const response = create(ServerCompatResponseSchema, {
  host: "127.0.0.1",
  port: server.port,
  ...(request.useTls && cert ? { pemCert: cert } : {}),
});
process.stdout.write(sizeDelimited(toBinary(ServerCompatResponseSchema, response)));
