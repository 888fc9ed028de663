import type { CodeName } from "./codes.ts";

export interface RpcError {
  readonly code: CodeName;
  readonly message: string;
  /** Status of the HTTP answer that brought it. */
  readonly httpStatus: number;
}

/** What came back for one call, read strictly by the rules of its protocol. */
export type RpcAnswer<T> =
  | { readonly kind: "message"; readonly message: T; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: "error"; readonly error: RpcError }
  /** Nobody serves that RPC there: 404 without an error of the protocol, `unimplemented`, 405, 415, 505. */
  | { readonly kind: "absent"; readonly seen: string }
  /** Something that the protocol does not know. */
  | { readonly kind: "malformed"; readonly seen: string };
