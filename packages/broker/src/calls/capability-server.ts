import type { NodeServerRequest, NodeServerResponse } from "@cpg/core/extension";
import type { CallInProgress } from "./call-in-progress.ts";

/** One call that was let in. The request is as the capability sees it. */
export interface CapabilityCall {
  readonly request: NodeServerRequest;
  readonly response: NodeServerResponse;
  readonly call: CallInProgress;
}

/** Serves the calls of one capability. */
export interface CapabilityServer {
  /** Full names of its methods, such as "capability.logger.v1.Logger/Log"; undefined: it has none. */
  readonly methods: ReadonlySet<string> | undefined;
  /**
   * The method that is called at a path.
   * @param rest path and query, as the capability sees them.
   * @throws {ConnectError} `unimplemented` when a capability with methods has none there.
   */
  methodOf(rest: string): string | undefined;
  /** Answers the call. Never throws. */
  serve(call: CapabilityCall): void;
}
