import type {
  NodeStrategyOptions,
  ProbeOptions,
  ProcessStrategyOptions,
  RestartOptions,
  ServiceDependency,
} from "@cpg/core";
import type { PlatformHostOptions } from "../platform-options.ts";
import type { ForeignFacts, ProvidedService } from "../platform-plugin.ts";

/**
 * What a configuration file of a platform says. Relative paths start at the folder of the file; those of `checksum` and
 * `permissions` at `cwd`, which is that folder by default.
 */
export interface PlatformFile {
  /** As for `createPlatform`. */
  readonly host?: Pick<PlatformHostOptions, "listen" | "publicUrl" | "graceMs" | "identityTtlMs"> | undefined;
  readonly startConcurrency?: number | undefined;
  readonly maxPlugins?: number | undefined;
  readonly plugins?: readonly PlatformFilePlugin[] | undefined;
}

/** One plugin: launched and managed (`serves`), launched and of another implementation (`foreign`), or elsewhere (`endpoint`). */
export interface PlatformFilePlugin {
  readonly id: string;
  readonly optional?: boolean | undefined;
  readonly restart?: RestartOptions | undefined;
  readonly probe?: ProbeOptions | false | undefined;
  readonly readyTimeoutMs?: number | undefined;
  /** How it is launched: exactly one of them. */
  readonly node?: FileNodeOptions | undefined;
  readonly process?: ProcessStrategyOptions | undefined;
  /** Names of the definitions that it serves, of those that the program gives. */
  readonly serves?: readonly string[] | undefined;
  readonly foreign?: ForeignFacts | undefined;
  readonly endpoint?: string | undefined;
  readonly attach?: FileAttachOptions | undefined;
  /** Whether one that runs elsewhere is asked to end when it is removed. */
  readonly shutdown?: boolean | undefined;
  /** Of one that runs elsewhere. */
  readonly provides?: readonly ProvidedService[] | undefined;
  /** Of all but foreign ones. */
  readonly requires?: readonly ServiceDependency[] | undefined;
}

export type FileNodeOptions = Omit<NodeStrategyOptions, "entry"> & { readonly entry: string };

export interface FileAttachOptions {
  /** A file that holds the control token, and nothing else but white space. */
  readonly controlTokenFile?: string | undefined;
  readonly selfId?: string | undefined;
  readonly selfVersion?: string | undefined;
  readonly registerWaitMs?: number | undefined;
  readonly callTimeoutMs?: number | undefined;
}
