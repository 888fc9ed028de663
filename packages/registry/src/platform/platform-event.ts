import type { ConnectError } from "@connectrpc/connect";
import type { ReplaceStage } from "./platform-error.ts";
import type { PluginStateName, StartStage } from "./plugin-state.ts";

/** Something that happened in a platform. */
export type PlatformEvent = { readonly plugin: string /** Wall clock ms. */; readonly timeMs: number } & (
  | PluginStateEvent
  | { readonly type: "added" | "removed" }
  /** A replacement got to this stage. */
  | { readonly type: "replacing"; readonly stage: ReplaceStage }
  | { readonly type: "replaced" | "not-replaced"; readonly error: ConnectError | undefined }
  /** The routed calls that a plugin had were ended, as their time was over. */
  | { readonly type: "calls-cut"; readonly calls: number }
);

export interface PluginStateEvent {
  readonly type: "state";
  readonly from: PluginStateName;
  readonly state: PluginStateName;
  readonly stage: StartStage | undefined;
  /** Which of two programs, during a replacement. */
  readonly of: "present" | "next" | "previous";
  readonly error: ConnectError | undefined;
}
