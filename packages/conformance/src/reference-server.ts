import { spawn } from "node:child_process";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type ServerCompatRequest,
  ServerCompatRequestSchema,
  type ServerCompatResponse,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { readSizeDelimited, sizeDelimited } from "./size-delimited.ts";

export interface ReferenceServer {
  /** "127.0.0.1:4242". */
  readonly authority: string;
  /** Its certificate, if it serves TLS. */
  readonly certificate: Buffer | undefined;
  close(): Promise<void>;
}

/**
 * Starts the suite's own server, a program of its own, to serve as the runner wants it; but it asks no client for a
 * certificate: whoever is in front does.
 * @throws {Error} when it ends before it serves.
 */
export async function startReferenceServer(binary: string, request: ServerCompatRequest): Promise<ReferenceServer> {
  const child = spawn(binary, ["-bind", "127.0.0.1", "-port", "0"], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const failed = new Promise<never>((_, reject) => {
    child.once("error", reject);
    void exited.then(() => reject(new Error(`${binary} ended before it served`)));
  });
  failed.catch(() => {}); // it served
  const order = create(ServerCompatRequestSchema, { ...request, clientTlsCert: new Uint8Array() });
  child.stdin.write(sizeDelimited(toBinary(ServerCompatRequestSchema, order)));
  const { value: bytes } = await Promise.race([readSizeDelimited(child.stdout).next(), failed]);
  if (bytes === undefined) throw new Error(`${binary} did not tell where it serves`);
  const { port, pemCert }: ServerCompatResponse = fromBinary(ServerCompatResponseSchema, bytes);
  return {
    authority: `127.0.0.1:${port}`,
    certificate: pemCert.length === 0 ? undefined : Buffer.from(pemCert),
    async close() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}
