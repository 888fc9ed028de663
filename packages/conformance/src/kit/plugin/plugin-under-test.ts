import type { Clock } from "@cpg/resilience";
import type { ServerUnderTest } from "../server/server-under-test.ts";
import type { KitHost } from "./kit-host.ts";

/** A running plugin, and a host of the kit's that it may belong to. */
export interface PluginUnderTest extends ServerUnderTest {
  readonly host: KitHost;
  /** What proves a host to the plugin; undefined: nothing was given. */
  readonly controlToken: string | undefined;
  /** Whether the plugin may be ended. */
  readonly mayEnd: boolean;
}

/** A plugin that was started with the URL of the kit's host. */
export interface JoiningPlugin {
  readonly clock: Clock;
  readonly host: KitHost;
  readonly signal: AbortSignal;
}
