import type { RuntimeIdentity, ServiceDeclaration, ServiceDependency } from "@cpg/core";
import { checkEndpointPath, checkFreeText, checkMinVersion, checkName, checkVersion } from "@cpg/core/extension";
import type { PluginDescription } from "./plugin-description.ts";

export type AttachStage = "identity" | "register";

export interface AttachOptions {
  /**
   * What proves this host to the plugin, as configured there (`control.token`). Secret. Default: none; of a launched
   * plugin: the one from its launch.
   */
  readonly controlToken?: string | undefined;
  /** Name of a plugin that does not tell its own. One that tells another name is refused. */
  readonly selfId?: string | undefined;
  /** Of a plugin that does not describe itself. Free text, at most 64 bytes. */
  readonly selfVersion?: string | undefined;
  /** What such a plugin provides: the host registers it. Default: nothing. */
  readonly provides?: readonly (ServiceDeclaration & { readonly path: string })[] | undefined;
  /** What such a plugin may call. Default: nothing. */
  readonly requires?: readonly ServiceDependency[] | undefined;
  /**
   * The identity that the plugin has already, such as one that shook hands by itself. Default: of a launched plugin the
   * one from its launch; else it gets a new one.
   */
  readonly identity?: RuntimeIdentity | undefined;
  /**
   * How long a plugin that took its identity may take to register its services itself, before the host does, in ms. From 0.
   * Default 1 000.
   */
  readonly registerWaitMs?: number | undefined;
  /** Bound on each call to the plugin, in ms. Greater than 0. Default 10 000. */
  readonly callTimeoutMs?: number | undefined;
  /** What it registers gets no calls, and watchers do not see it, until `Registry.promote` or `succeed`. Default false. */
  readonly standby?: boolean | undefined;
  /**
   * Hears how far it got: the plugin has told what it is, and is to get its identity; it has that, and its services are to
   * be registered. What it throws refuses the plugin. Default: nobody.
   */
  readonly onStage?: ((stage: AttachStage, info: PluginDescription) => void) | undefined;
  /** Gives up. Has no effect once the plugin is attached. */
  readonly signal?: AbortSignal | undefined;
}

export interface ResolvedAttachOptions extends Pick<AttachOptions, "controlToken" | "selfId" | "identity" | "signal"> {
  readonly standby: boolean;
  onStage(stage: AttachStage, info: PluginDescription): void;
  readonly selfVersion: string;
  readonly provides: readonly (ServiceDeclaration & { readonly path: string })[];
  readonly requires: readonly ServiceDependency[];
  readonly registerWaitMs: number;
  readonly callTimeoutMs: number;
}

const maxTimerMs = 2 ** 31 - 1;

/** @throws {RangeError} {ConnectError} `invalid_argument`, naming the option. */
export function resolveAttachOptions(options: AttachOptions): ResolvedAttachOptions {
  const { controlToken, selfId, selfVersion = "", provides = [], requires = [], identity, signal } = options;
  const { registerWaitMs = 1_000, callTimeoutMs = 10_000, standby = false, onStage = () => {} } = options;
  if (!(registerWaitMs >= 0 && registerWaitMs <= maxTimerMs)) {
    throw new RangeError(`registerWaitMs must be from 0 to ${maxTimerMs}, got ${registerWaitMs}`);
  }
  if (!(callTimeoutMs > 0 && callTimeoutMs <= maxTimerMs)) {
    throw new RangeError(`callTimeoutMs must be greater than 0 and at most ${maxTimerMs}, got ${callTimeoutMs}`);
  }
  if (selfId !== undefined) checkName("selfId", selfId);
  checkFreeText("selfVersion", selfVersion);
  for (const [index, { type, version, path }] of provides.entries()) {
    checkName(`provides[${index}].type`, type);
    checkVersion(`provides[${index}].version`, version);
    checkEndpointPath(`provides[${index}].path`, path);
  }
  for (const [index, { type, minVersion = "" }] of requires.entries()) {
    checkName(`requires[${index}].type`, type);
    checkMinVersion(`requires[${index}].minVersion`, minVersion);
  }
  return {
    controlToken,
    selfId,
    selfVersion,
    provides,
    requires,
    identity,
    registerWaitMs,
    callTimeoutMs,
    standby,
    onStage,
    signal,
  };
}
