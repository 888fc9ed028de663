import type { HostExtension, PluginSet, ServeOptions } from "@cpg/core";
import type { Clock } from "@cpg/resilience";
import type { RegistryOptions } from "../registry-options.ts";
import type { AdminOptions } from "./admin/admin-options.ts";
import type { PlatformEvent } from "./platform-event.ts";
import type { PlatformPlugin } from "./platform-plugin.ts";

/** How the host of a platform is served. */
export type PlatformHostOptions = Omit<
  ServeOptions<PluginSet>,
  "plugins" | "impls" | "pluginInterceptors" | "extensions" | "clock"
>;

export interface PlatformOptions {
  /** As for `serve`: where to listen, TLS, admission, interceptors … Default: as `serve` has it. */
  readonly host?: PlatformHostOptions | undefined;
  readonly registry?: RegistryOptions | undefined;
  /** What else the host offers, such as a broker. */
  readonly extensions?: readonly HostExtension[] | undefined;
  /** Serves `cpg.admin.v1.AdminService` to those whom `authorize` lets in. Default: it is off. */
  readonly admin?: AdminOptions | undefined;
  /** Plugins to begin with; `bootReport` tells what became of them. Default: none. */
  readonly plugins?: readonly PlatformPlugin[] | undefined;
  /** Plugins that start at a time. Whole number from 1. Default 8. */
  readonly startConcurrency?: number | undefined;
  /** Plugins at a time. Whole number from 1. Default 1 000. */
  readonly maxPlugins?: number | undefined;
  /** Hears what happens. What it throws is dropped. */
  readonly onEvent?: ((event: PlatformEvent) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** Source of jitter and of chance in selection, at least 0 and less than 1. Default: from node:crypto. */
  readonly random?: (() => number) | undefined;
}
