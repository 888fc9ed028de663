/** A plugin as a dependency graph sees it. */
export interface GraphPlugin {
  /** Names the plugin; no two are the same. */
  readonly id: string;
  /** Its own name, for people. */
  readonly selfId?: string | undefined;
  readonly provides?: readonly { readonly type: string; readonly version: string }[] | undefined;
  readonly requires?: readonly GraphRequirement[] | undefined;
}

export interface GraphRequirement {
  readonly type: string;
  /** Least version that will do, by semantic version precedence; "" or absent: any. */
  readonly minVersion?: string | undefined;
  /** The plugin cannot do without it. Default true. */
  readonly requiredForStartup?: boolean | undefined;
}
