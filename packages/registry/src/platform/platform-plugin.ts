import type {
  LaunchStrategy,
  LogRecord,
  PluginClientOptions,
  PluginSet,
  ProbeOptions,
  RestartOptions,
  ServiceDeclaration,
  ServiceDependency,
} from "@cpg/core";
import type { AttachOptions } from "../attach/attach-options.ts";

/** A plugin of a platform: how it gets to run, and what its host expects of it. */
export type PlatformPlugin = PlatformPluginFacts & (LaunchedSpec | ForeignSpec | EndpointSpec);

export interface PlatformPluginFacts {
  /**
   * Its name within the platform, which stays the same when it is restarted or replaced: a letter, then letters, digits,
   * "_", "." or "-"; at most 128 bytes.
   */
  readonly id: string;
  /** The host is ready without it. Default false. */
  readonly optional?: boolean | undefined;
  /** When a plugin that ended is started again. Default: that of `supervisePlugin`. */
  readonly restart?: RestartOptions | undefined;
  /** How a blocked plugin is found out; false: not at all. Default: that of `supervisePlugin`. */
  readonly probe?: ProbeOptions | false | undefined;
  /** Bound on becoming ready, and once more on being introduced and healthy, in ms. Default 10 000. */
  readonly readyTimeoutMs?: number | undefined;
  /** Receives what the plugin writes to stdout and stderr, line by line. Default: it is dropped. */
  readonly onLog?: ((record: LogRecord) => void) | undefined;
}

/** A plugin of ours, launched and managed by the host: it is asked what it is and gets its identity from the host. */
export interface LaunchedSpec {
  readonly strategy: LaunchStrategy;
  /** The plugins it has to serve. */
  readonly plugins: PluginSet;
  /** What it needs beside what `plugins` declare, to be started after that. Default: nothing. */
  readonly requires?: readonly ServiceDependency[] | undefined;
  /** How the host shakes hands with it, such as the cookie and versions that it expects. Default: as `launchPlugin`. */
  readonly client?: Omit<PluginClientOptions<PluginSet>, "endpoint" | "plugins" | "clock"> | undefined;
  readonly foreign?: undefined;
  readonly endpoint?: undefined;
}

/** A program of another implementation: it is launched with PORT and HOST_URL, and need not know anything of ours. */
export interface ForeignSpec {
  readonly strategy: LaunchStrategy;
  readonly foreign: ForeignFacts;
  readonly plugins?: undefined;
  readonly endpoint?: undefined;
}

export interface ForeignFacts {
  /** Name under which it shakes hands, or is registered. */
  readonly selfId: string;
  /**
   * "itself": it shakes hands as `selfId` and registers what it provides; the identity that it got is adopted. The first
   * handshake of that name from this machine counts which follows the launch, unless another plugin of the platform has it.
   * Of programs with one name, such as one that starts again and the next one, each is launched once the one before it has
   * shaken hands, or failed to.
   * "host": the host registers `provides`, and gives it an identity if it takes one.
   */
  readonly registers: "itself" | "host";
  /** Default: nothing. */
  readonly provides?: readonly ProvidedService[] | undefined;
  /** What it may call, and is started after. Default: nothing. */
  readonly requires?: readonly ServiceDependency[] | undefined;
}

/** A plugin that runs elsewhere, whoever started it. */
export interface EndpointSpec {
  /** "http://host:port" or "https://host:port". */
  readonly endpoint: string;
  /** How it is attached. */
  readonly attach?:
    | Omit<AttachOptions, "provides" | "requires" | "identity" | "signal" | "standby" | "onStage">
    | undefined;
  /** What it provides, if it does not tell. Default: nothing. */
  readonly provides?: readonly ProvidedService[] | undefined;
  /** What it needs, if it does not tell. Default: nothing. */
  readonly requires?: readonly ServiceDependency[] | undefined;
  /** Whether it is asked to end (Shutdown) when it is removed or replaced. It never is when the platform closes. Default false. */
  readonly shutdown?: boolean | undefined;
  readonly strategy?: undefined;
  readonly plugins?: undefined;
  readonly foreign?: undefined;
}

/** `path`: where the plugin serves it, such as "/package.Service/". */
export type ProvidedService = ServiceDeclaration & { readonly path: string };

/** Who launches it and what is known of it. */
export type PlatformPluginKind = "managed" | "foreign" | "endpoint";

export function kindOf(plugin: PlatformPlugin): PlatformPluginKind {
  if (plugin.endpoint !== undefined) return "endpoint";
  return plugin.foreign === undefined ? "managed" : "foreign";
}

/** What a plugin is said to provide and need before it has told itself. */
export function expectedOf(plugin: PlatformPlugin): {
  readonly provides: readonly ServiceDeclaration[];
  readonly requires: readonly ServiceDependency[];
} {
  if (plugin.plugins === undefined) {
    const { provides = [], requires = [] } = plugin.foreign ?? plugin;
    return { provides, requires };
  }
  const definitions = Object.values(plugin.plugins);
  const { requires = [] } = plugin;
  return {
    provides: definitions.flatMap((definition) => definition.provides),
    requires: [...definitions.flatMap((definition) => definition.requires), ...requires],
  };
}
