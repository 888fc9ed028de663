import type { DescService } from "@bufbuild/protobuf";
import type { GeneratedNames } from "./generated-names.ts";

/** All that is generated for one service: its options read, checked and with their defaults filled in. */
export interface PluginModel {
  readonly service: DescService;
  readonly names: GeneratedNames;
  readonly name: string;
  readonly version: string;
  readonly provides: readonly ProvidedModel[];
  readonly requires: readonly RequiredModel[];
  /** By the name that the method has in code. */
  readonly timeoutsMs: ReadonlyMap<string, number>;
}

export interface ProvidedModel {
  readonly type: string;
  readonly version: string;
}

export interface RequiredModel {
  readonly type: string;
  /** Empty: any. */
  readonly minVersion: string;
  readonly requiredForStartup: boolean;
  readonly watchForChanges: boolean;
}
