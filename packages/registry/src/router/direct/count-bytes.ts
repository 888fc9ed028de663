import type { NodeServerRequest, NodeServerResponse } from "@cpg/core/extension";

/** Bytes of bodies, so far. */
export interface ByteCount {
  readonly request: number;
  readonly response: number;
}

/**
 * Counts what passes through the objects of a request. To be called before anything of it is read: a listener for "data"
 * would make it flow.
 */
export function countBytes(request: NodeServerRequest, response: NodeServerResponse): ByteCount {
  const count = { request: 0, response: 0 };
  watch(request, "push", (chunk) => {
    count.request += sizeOf(chunk);
  });
  for (const name of ["write", "end"]) {
    watch(response, name, (chunk) => {
      count.response += sizeOf(chunk);
    });
  }
  return count;
}

function watch(target: object, name: string, see: (chunk: unknown) => void): void {
  const method: unknown = Reflect.get(target, name);
  if (typeof method !== "function") return;
  Reflect.set(target, name, (...args: unknown[]): unknown => {
    see(args[0]);
    return Reflect.apply(method, target, args);
  });
}

function sizeOf(chunk: unknown): number {
  if (typeof chunk === "string") return Buffer.byteLength(chunk);
  return chunk instanceof Uint8Array ? chunk.byteLength : 0;
}
