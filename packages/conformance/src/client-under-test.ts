// A client as the runner wants it: reads calls to make from stdin, makes them, writes what came of them to stdout.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { makeConformanceCall } from "./conformance-call.ts";
import {
  type ClientCompatRequest,
  ClientCompatRequestSchema,
  type ClientCompatResponse,
  ClientCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { createMemoryTransports } from "./memory-transports.ts";
import { createPlainTransports } from "./plain-transports.ts";
import { readSizeDelimited, sizeDelimited } from "./size-delimited.ts";
import { createTransportsUnderTest } from "./transports-under-test.ts";

/** Calls at a time. */
const parallel = 8;

const transports = process.argv.includes("--plain")
  ? createPlainTransports()
  : process.argv.includes("--memory")
    ? createMemoryTransports()
    : createTransportsUnderTest();

async function answer(request: ClientCompatRequest): Promise<ClientCompatResponse> {
  const { testName } = request;
  try {
    const value = await makeConformanceCall(transports.transportFor(request), request);
    return create(ClientCompatResponseSchema, { testName, result: { case: "response", value } });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return create(ClientCompatResponseSchema, { testName, result: { case: "error", value: { message } } });
  }
}

const underWay = new Set<Promise<void>>();
for await (const bytes of readSizeDelimited(process.stdin)) {
  const call = answer(fromBinary(ClientCompatRequestSchema, bytes)).then((response) => {
    process.stdout.write(sizeDelimited(toBinary(ClientCompatResponseSchema, response)));
    underWay.delete(call);
  });
  underWay.add(call);
  if (underWay.size >= parallel) await Promise.race(underWay);
}
await Promise.all(underWay);
await transports.close();
