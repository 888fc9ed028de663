import type { ConnectError } from "@connectrpc/connect";
import type { ReplaceReport } from "../platform.ts";

/** What happens in the development of a plugin. */
export type DevelopEvent = { readonly plugin: string /** Wall clock ms. */; readonly timeMs: number } & DevelopNews;

export type DevelopNews =
  /** The build begins. The first files that changed, at most 100. */
  | { readonly type: "changed"; readonly files: readonly string[] }
  | { readonly type: "built"; readonly durationMs: number }
  /** The plugin runs on as it is. */
  | { readonly type: "build-failed"; readonly error: Error }
  | { readonly type: "replaced"; readonly report: ReplaceReport }
  /** The plugin runs on as it is. */
  | { readonly type: "not-replaced"; readonly error: ConnectError }
  /** Some of the files are not watched any more. */
  | { readonly type: "watch-failed"; readonly error: Error };
