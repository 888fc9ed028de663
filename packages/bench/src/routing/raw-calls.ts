import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from "node:http2";

/** Asks the echo server for so many messages instead of an echo. */
export const listHeader = "x-bench-list";
/** Bytes of one of them. */
export const listBytes = 100;

/** Where calls go, and what they need to get there. */
export interface RawTarget {
  /** "127.0.0.1:4242". */
  readonly address: string;
  /** Stands before the path of each call; "/echo" follows. Default: nothing. */
  readonly prefix?: string | undefined;
  readonly headers?: OutgoingHttpHeaders | undefined;
}

/** Calls on one bare node:http2 session. */
export interface RawCalls {
  echo(body: Buffer): Promise<Buffer>;
  /** Resolves with the number of bytes that came. */
  list(count: number): Promise<number>;
  close(): void;
}

export async function openRawCalls({ address, prefix = "", headers = {} }: RawTarget): Promise<RawCalls> {
  const session = connect(`http://${address}`);
  await once(session, "remoteSettings");
  const base = { ":method": "POST", ":path": `${prefix}/echo`, "content-type": "application/octet-stream", ...headers };
  return {
    echo: (body) => echo(session, base, body),
    list: (count) => list(session, { ...base, [listHeader]: count }),
    close: () => session.destroy(),
  };
}

function echo(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers);
    const chunks: Buffer[] = [];
    let status = 0;
    stream.on("response", (response) => {
      status = Number(response[":status"]);
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("end", () => {
      const [only = Buffer.alloc(0)] = chunks;
      const answer = chunks.length < 2 ? only : Buffer.concat(chunks);
      if (status === 200) resolve(answer);
      else reject(new Error(`status ${status}: ${answer}`));
    });
    stream.end(body);
  });
}

function list(session: ClientHttp2Session, headers: OutgoingHttpHeaders): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers);
    let bytes = 0;
    stream.on("response", (response) => {
      if (response[":status"] !== 200) reject(new Error(`status ${response[":status"]}`));
    });
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.on("error", reject);
    stream.on("end", () => resolve(bytes));
    stream.end();
  });
}

/** @throws {Error} unless it is the echo of the body. */
export function assertEcho(answer: Buffer, body: Buffer): void {
  assert(answer.equals(body), "the answer is not the request");
}
